"""Claims about the Dockerfile and the compose file, as far as they can be read. `scripts/check-image build` carries the former out."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import jsonschema
import yaml

from rendering import ROOT, run

TOOLS = ROOT / "target/clients/helm"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def done(*command, **options):
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **options)
    assert outcome.returncode == 0, (outcome.stdout + outcome.stderr).strip()
    return outcome.stdout


def hadolint_finds_nothing():
    done(TOOLS / "python/bin/hadolint", "--failure-threshold", "info", "Dockerfile")


def the_dockerfile_keeps_its_promises():
    done(sys.executable, "scripts/check-image")
    # It would say so if one were broken.
    text = (ROOT / "Dockerfile").read_text()
    spoilt = {
        "copies these manifests wrongly: ['client/Cargo.toml']": ("COPY client/Cargo.toml client/\n", ""),
        "not root's": ("USER 65532:65532", "USER root"),
        "OPENAI_API_KEY: an image is no place": ("    SABIR_AUTH__MODE=required", "    OPENAI_API_KEY=sk-1"),
        "ENTRYPOINT is a list": ('ENTRYPOINT ["/usr/local/bin/sabir"]', "ENTRYPOINT /usr/local/bin/sabir"),
        "is not pinned": ("rust:1.95.0-trixie", "rust:latest"),
        "COPY docs: .dockerignore": ("COPY proto proto\n", "COPY proto proto\nCOPY docs docs\n"),
        "--locked": ("--release --locked -p sabir &&", "--release -p sabir &&"),
        "a change there builds all anew": ("COPY tests/backend", "COPY build.rs ./\nCOPY tests/backend"),
    }
    for word, (old, new) in spoilt.items():
        assert old in text, f"{old} is not in the Dockerfile any more"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text.replace(old, new))
            file.flush()
            asked = [sys.executable, ROOT / "scripts/check-image"]
            outcome = subprocess.run(asked, capture_output=True, text=True, env=os.environ | {"DOCKERFILE": file.name})
        assert outcome.returncode == 1 and word in outcome.stderr, f"{old} -> {new}: {outcome.stderr or 'passed'}"


def cargo_reads_the_stubs():
    cargo = os.environ.get("CARGO", "cargo")
    # As `cargo test` has it for the workspace that is being tested.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_")}
    environment |= {name: value for name, value in os.environ.items() if name in ("CARGO_HOME",)}
    copies = re.findall(r"^COPY (?!--)(.+)$", (ROOT / "Dockerfile").read_text().split("RUN ")[0], re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for *sources, target in map(str.split, copies):
            for source in sources:
                (root / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, root / target)
        done(root / "scripts/stub-sources", "make", env=environment)
        asked = [cargo, "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
        outcome = subprocess.run(asked, cwd=root, env=environment, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stderr
        packages = {one["name"]: one for one in json.loads(outcome.stdout)["packages"]}
        kinds = {kind for target in packages["sabir"]["targets"] for kind in target["kind"]}
        assert {"lib", "bin"} <= kinds, kinds
        assert "custom-build" in {kind for target in packages["sabir-proto"]["targets"] for kind in target["kind"]}
        for file in root.rglob("*.rs"):
            assert file.read_text().strip() in ("", "fn main() {}"), file


def the_bill_of_materials_is_whole():
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name == "CARGO_HOME" or not name.startswith("CARGO_")}
        done(sys.executable, "scripts/sbom", folder, env=environment)
        bill = json.loads((pathlib.Path(folder) / "sabir.cdx.json").read_text())
        licences = (pathlib.Path(folder) / "LICENSES.txt").read_text()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert len(known) == len(bill["components"]) + 1 > 300
    assert {edge["ref"] for edge in bill["dependencies"]} == known
    assert all(set(edge["dependsOn"]) <= known for edge in bill["dependencies"])
    by_name = {one["name"]: one for one in bill["components"]}
    assert by_name["tokio"]["scope"] == "required" and by_name["tokio"]["hashes"] and by_name["tokio"]["licenses"]
    assert by_name["syn"]["scope"] == "excluded", "a procedural macro's crate is in no program"
    assert "criterion" not in by_name, "what only tests and benches use is in no program"
    assert licences.lstrip().startswith("Apache License") and "\ntokio " in licences


def compose_reads_the_file():
    # Numbers and references of YAML are resolved; `extends` and variables are not used beyond what the schema takes.
    schema = json.loads((TOOLS / "schemas/compose-spec.json").read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(COMPOSE):
        raise AssertionError(f"{error.json_path}: {error.message}")


def services_of_compose_are_hardened_and_pinned():
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"] and service["read_only"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.search(r":(v?\d+\.\d+\.\d+(-pg\d+)?|local)$", service["image"]), f"{name}: {service['image']}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to the network"
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL", variable):
                assert re.search(r"\$\{\w+(:\?.+|:-)\}", value), f"{name}: {variable} has a default"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], f"{name}: {source}"
    grace = int(COMPOSE["services"]["sabir"]["stop_grace_period"].removesuffix("s"))
    assert grace > 30 + 10 + 17, "server.drain_timeout, usage.close_within, and what follows"


def secrets_of_compose_are_made_once():
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "scripts/compose-secrets"
        script.parent.mkdir()
        shutil.copy(ROOT / "scripts/compose-secrets", script)
        done(script)
        file = pathlib.Path(folder) / ".env"
        first = file.read_text()
        done(script)
        assert file.read_text() == first and file.stat().st_mode & 0o077 == 0
    made = dict(line.split("=", 1) for line in first.splitlines())
    assert set(made) == asked, set(made) ^ asked
    assert len(set(made.values())) == len(made) and all(len(value) == 64 for value in made.values())
    assert "/.env" in (ROOT / ".gitignore").read_text()


def what_compose_mounts_fits_together():
    deploy = lambda path: yaml.safe_load((ROOT / "deploy" / path).read_text())
    prometheus = deploy("prometheus.yaml")
    job, = prometheus["scrape_configs"]
    assert job["job_name"] == "sabir" and job["static_configs"][0]["targets"] == ["sabir:9464"]
    assert COMPOSE["services"]["sabir"]["environment"]["SABIR_ADMIN__LISTEN"].endswith(":9464")
    collector = deploy("otel-collector.yaml")
    for pipeline, parts in collector["service"]["pipelines"].items():
        for kind, names in parts.items():
            assert set(names) <= collector[kind].keys(), f"{pipeline}: {kind}"
    endpoint = COMPOSE["services"]["sabir"]["environment"]["SABIR_TELEMETRY__OTLP_ENDPOINT"]
    assert endpoint.rsplit(":", 1)[1] == collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rsplit(":", 1)[1]
    provider, = deploy("grafana/provisioning/dashboards/sabir.yaml")["providers"]
    mounts = [volume.split(":") for volume in COMPOSE["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in [mount[1] for mount in mounts if mount[0] == "./helm/dashboards"]
    source, = deploy("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


if __name__ == "__main__":
    run([
        hadolint_finds_nothing,
        the_dockerfile_keeps_its_promises,
        cargo_reads_the_stubs,
        the_bill_of_materials_is_whole,
        compose_reads_the_file,
        services_of_compose_are_hardened_and_pinned,
        secrets_of_compose_are_made_once,
        what_compose_mounts_fits_together,
    ])
