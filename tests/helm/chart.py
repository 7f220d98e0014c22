"""Claims about the Helm chart: it renders for every profile into objects that Kubernetes takes and into a configuration that the
server takes, keeps what its README promises, and refuses values that cannot be meant.

    chart.py PROGRAM        the server
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import helm_python as helm
import jsonschema
import kubernetes_validate
import yaml

from rendering import CHART, NAMESPACE, PROFILES, ROOT, merged, profile, refusal, render, run, texts

# The oldest that the chart is for, one in between, and the newest that the checker knows.
KUBERNETES = ("1.30.0", "1.34.0", "1.37.0")
SCHEMAS = ROOT / "target/clients/helm/schemas"
CUSTOM = {
    "HTTPRoute": "gateway.networking.k8s.io_httproutes.yaml",
    "BackendTLSPolicy": "gateway.networking.k8s.io_backendtlspolicies.yaml",
    "ServiceMonitor": "monitoring.coreos.com_servicemonitors.yaml",
    "PrometheusRule": "monitoring.coreos.com_prometheusrules.yaml",
}
PROGRAM = sys.argv[1]
POSTGRES = {"database": {"kind": "postgres", "existingSecret": {"name": "db"}}}

RENDERED = {}


def every():
    """Each profile by name, with its objects."""
    for path in PROFILES:
        name = path.name.removesuffix("-values.yaml")
        if name not in RENDERED:
            RENDERED[name] = render(profile(name))
        yield name, RENDERED[name]


def helm_lint_finds_nothing():
    for path in PROFILES:
        report = helm.lint(CHART, yaml.safe_load(path.read_text()) or {}, strict=True, namespace=NAMESPACE)
        # 1 is information; that a chart should have an icon is such.
        wrong = [m for m in report["messages"] if m["severity"] > 1]
        assert not wrong and not report["errors"], f"{path.name}: {wrong or report['errors']}"


def kubernetes_takes_every_object():
    kinds = set()
    for name, objects in every():
        for one in objects:
            if one["kind"] in CUSTOM:
                continue
            kinds.add(one["kind"])
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(one, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    raise AssertionError(f"{name}, {one['kind']}, Kubernetes {version}: {error.message}") from None
    expected = {"Deployment", "Service", "ConfigMap", "Job", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
    expected |= {"Ingress", "PersistentVolumeClaim", "ServiceAccount", "Pod"}
    assert expected == kinds, f"no profile has {expected ^ kinds}"


def strict(schema):
    """The schema of a custom resource, with every object closed that lists its members."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        schema = [strict(one) for one in schema]
    return schema


def custom_resources_fit_their_definitions():
    seen = set()
    for kind, file in CUSTOM.items():
        definition = yaml.safe_load((SCHEMAS / file).read_text())
        versions = {version["name"]: version for version in definition["spec"]["versions"]}
        for name, objects in every():
            for one in objects.of(kind):
                group, _, version = one["apiVersion"].partition("/")
                assert group == definition["spec"]["group"] and versions[version]["served"], f"{kind}: {one['apiVersion']}"
                spec = versions[version]["schema"]["openAPIV3Schema"]["properties"]["spec"]
                for error in jsonschema.Draft202012Validator(strict(spec)).iter_errors(one["spec"]):
                    raise AssertionError(f"{name}, {kind}: {error.json_path}: {error.message}")
                seen.add(kind)
    assert seen == set(CUSTOM), f"no profile has {set(CUSTOM) - seen}"


def the_checkers_find_what_is_wrong():
    route = render(profile("production")).one("HTTPRoute")
    route["spec"]["rules"][0]["backendRefs"][0]["prot"] = 1
    spec = yaml.safe_load((SCHEMAS / CUSTOM["HTTPRoute"]).read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(jsonschema.Draft202012Validator(strict(spec["properties"]["spec"])).iter_errors(route["spec"]))
    deployment = render({}).one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    try:
        kubernetes_validate.validate(deployment, KUBERNETES[0], strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise AssertionError("a misspelt member passed")


def names_and_labels_are_those_of_the_release():
    for name, objects in every():
        seen = set()
        for one in objects:
            meta = one["metadata"]
            key = (one["kind"], meta["name"])
            assert key not in seen, f"{name}: {key} is there twice"
            seen.add(key)
            if meta["name"].endswith(("-more", "-text")):
                continue
            assert meta["labels"]["app.kubernetes.io/instance"] == "sabir" and meta["labels"]["helm.sh/chart"], f"{name}: {key}"
            assert meta["namespace"] in (NAMESPACE, "monitoring"), f"{name}: {key}"
            assert len(meta["name"]) <= 63, f"{name}: {key}"
        deployment = objects.one("Deployment")
        chosen = deployment["spec"]["selector"]["matchLabels"].items()
        assert chosen <= deployment["spec"]["template"]["metadata"]["labels"].items(), name
        for service in objects.of("Service"):
            assert service["spec"]["selector"].items() <= chosen, f"{name}: {service['metadata']['name']}"
        for pod in [*objects.of("Job"), *objects.of("Pod")]:
            labels = (pod["spec"].get("template") or pod)["metadata"]["labels"]
            assert not chosen <= labels.items(), f"{name}: the Services would send calls to {pod['metadata']['name']}"
    long = render({}, name="a-release-with-a-name-of-fifty-three-letters-or-so-ab")
    assert max(len(one["metadata"]["name"]) for one in long) <= 63
    for one in render(profile("production")):
        assert one["metadata"]["labels"]["team"] == "platform" and one["metadata"]["annotations"]["owner"], one["kind"]


def every_pod_is_hardened():
    for name, objects in every():
        for owner, pod in objects.pods():
            where = f"{name}, {owner}"
            context = pod["securityContext"]
            assert context["runAsNonRoot"] and context["runAsUser"] > 0, where
            assert context["seccompProfile"]["type"] == "RuntimeDefault", where
            assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False, where
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), where
            for one in [*pod.get("initContainers", []), *pod["containers"]]:
                context = one["securityContext"]
                assert context["readOnlyRootFilesystem"] and context["runAsNonRoot"], f"{where}, {one['name']}"
                assert context["allowPrivilegeEscalation"] is False, f"{where}, {one['name']}"
                assert context["capabilities"] == {"drop": ["ALL"]}, f"{where}, {one['name']}"
                if one["image"].startswith("ghcr.io/sabir-llm/"):
                    assert one["resources"]["limits"]["memory"] and one["resources"]["requests"]["cpu"], f"{where}, {one['name']}"
            for volume in pod.get("volumes", []):
                assert "hostPath" not in volume, where


def every_image_is_pinned():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    for name, objects in every():
        for owner, pod in objects.pods():
            for one in [*pod.get("initContainers", []), *pod["containers"]]:
                pinned = re.search(r"(:v?\d+\.\d+\.\d+(-models)?|@sha256:[0-9a-f]{64})$", one["image"])
                assert pinned, f"{name}, {owner}: {one['image']}"
    image = lambda values: render(values).one("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image({}) == f"ghcr.io/sabir-llm/sabir:{version}"
    assert image({"localModel": {"enabled": True}}).endswith(f":{version}-models")
    assert "@sha256:" in image(profile("migration-job"))
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert version == workspace, f"appVersion is {version}, the workspace {workspace}"


def there_is_time_to_stop():
    for name, objects in every():
        values = merged(yaml.safe_load((CHART / "values.yaml").read_text()), profile(name))["shutdown"]
        pod = objects.one("Deployment")["spec"]["template"]["spec"]
        sabir = pod["containers"][0]
        env = {one["name"]: one.get("value") for one in sabir["env"]}
        pause = sabir.get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
        drain = int(env["SABIR_SERVER__DRAIN_TIMEOUT"].removesuffix("s"))
        close = int(env["SABIR_USAGE__CLOSE_WITHIN"].removesuffix("s"))
        assert (pause, drain, close) == (values["preStopSeconds"], values["drainSeconds"], values["closeSeconds"]), name
        margin = pod["terminationGracePeriodSeconds"] - pause - drain - close
        assert margin == values["marginSeconds"] > 17, f"{name}: {margin} seconds are left"


def probes_ask_for_health():
    def probes(values):
        one = render(values).one("Deployment")["spec"]["template"]["spec"]["containers"][0]
        return [one[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]

    assert all(probe["grpc"] == {"port": 8080, "service": ""} for probe in probes({}))
    for probe in probes(profile("tls")):
        assert probe["exec"]["command"] == ["sabir", "health", "--address", "https://127.0.0.1:8080"] and "grpc" not in probe
    assert all("httpGet" in probe and "grpc" not in probe for probe in probes(profile("everything")))
    startup = probes({})[0]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60, "a database may take a minute"


def no_secret_is_made_and_none_has_a_default():
    for name, objects in every():
        assert not objects.of("Secret"), f"{name} makes a Secret"
        for owner, pod in objects.pods():
            for one in [*pod.get("initContainers", []), *pod["containers"]]:
                for variable in one.get("env", []):
                    if re.search(r"PASSWORD|SECRET|TOKEN$|API_KEY|DATABASE__URL", variable["name"]):
                        open_text = variable.get("value", "sqlite:")
                        assert open_text.startswith("sqlite:"), f"{name}, {owner}: {variable['name']} is no reference"
        for config in objects.of("ConfigMap"):
            for text in config["data"].values():
                assert not re.search(r"(?i)\b(password|secret|api_key)\s*=", text), f"{name}: {config['metadata']['name']}"

    def leaves(values, path=""):
        for key, value in values.items():
            where = f"{path}.{key}" if path else key
            yield from leaves(value, where) if isinstance(value, dict) else [(where, value)]

    for path, value in leaves(yaml.safe_load((CHART / "values.yaml").read_text())):
        if re.search(r"(?i)password|existingSecret(\.name)?$|secrets$|existingClaim|token$", path):
            assert not value, f"{path} has the default {value}"


def the_database_is_migrated_before_it_is_served():
    deployment = lambda values: render(values).one("Deployment")["spec"]["template"]["spec"]
    assert [one["args"] for one in deployment(profile("production"))["initContainers"]] == [["migrate"]]
    job = render(profile("migration-job")).one("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    # Of the release itself nothing is there yet.
    assert pod["serviceAccountName"] == "migrations" and [v for v in pod["volumes"] if "configMap" in v] == []
    assert [e["name"] for e in pod["containers"][0]["env"]] == ["SABIR_DATABASE__URL"]
    assert "initContainers" not in deployment(profile("migration-job"))
    assert not render(POSTGRES | {"migration": {"mode": "none"}}).of("Job")
    assert "initContainers" not in deployment({}), "`serve` brings an SQLite file up to date by itself"


def one_process_at_a_time_has_the_file():
    objects = render({})
    spec = objects.one("Deployment")["spec"]
    assert spec["strategy"] == {"type": "Recreate"} and spec["replicas"] == 1
    assert objects.one("PersistentVolumeClaim")["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not objects.of("PodDisruptionBudget"), "a budget on one pod keeps a node from being drained"
    several = render(profile("migration-job"))
    assert several.one("Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert not several.of("PersistentVolumeClaim") and several.one("PodDisruptionBudget")["spec"]["minAvailable"] == "50%"


def one_route_serves_every_protocol():
    objects = render(profile("production"))
    service, route = objects.one("Service", "sabir"), objects.one("HTTPRoute")
    ports = {port["port"]: port for port in service["spec"]["ports"]}
    assert {port["appProtocol"] for port in ports.values()} == {"kubernetes.io/h2c", "kubernetes.io/ws"}
    assert {port["targetPort"] for port in ports.values()} == {"http"}
    web_socket, rest = route["spec"]["rules"]
    protocol = lambda rule: ports[rule["backendRefs"][0]["port"]]["appProtocol"]
    assert protocol(rest) == "kubernetes.io/h2c" and rest["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert protocol(web_socket) == "kubernetes.io/ws" and web_socket["matches"][0]["headers"][0]["value"] == "websocket"
    for name, objects in every():
        assert not objects.of("GRPCRoute"), f"{name}: a GRPCRoute takes the HTTPRoute's place"
    tls = render(profile("tls"))
    assert tls.one("BackendTLSPolicy")["spec"]["validation"]["hostname"] == "sabir.llm.svc"
    assert tls.one("Service", "sabir")["spec"]["ports"][0]["appProtocol"] == "https"
    headless = render({"headlessService": {"enabled": True}}).one("Service", "-headless")["spec"]
    assert headless["clusterIP"] == "None" and headless["ports"][0]["port"] == 8080


def metrics_are_not_where_callers_are():
    for name, objects in every():
        for service in objects.of("Service"):
            ports = {port["name"] for port in service["spec"]["ports"]}
            assert "metrics" not in ports or service["spec"]["type"] == "ClusterIP", f"{name}: {ports}"
            assert "metrics" not in ports or ports == {"metrics"}, f"{name}: {ports}"
    objects = render(profile("production"))
    monitor, service = objects.one("ServiceMonitor"), objects.one("Service", "-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    env = objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "SABIR_ADMIN__LISTEN", "value": "0.0.0.0:9464"} in env
    env = render(profile("local-model")).one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "SABIR_ADMIN__LISTEN" not in {one["name"] for one in env}


def the_network_policy_lets_through_what_is_named():
    spec = render(profile("production")).one("NetworkPolicy")["spec"]
    calls, metrics = spec["ingress"]
    assert calls["ports"][0]["port"] == "http" and calls["from"][0]["namespaceSelector"]["matchLabels"]
    assert metrics["from"] == [{"namespaceSelector": {}}]
    names, vendors, postgres = spec["egress"]
    assert {port["port"] for port in names["ports"]} == {53} and vendors["to"][0]["ipBlock"]["except"]
    assert postgres["ports"][0]["port"] == 5432
    assert render(profile("everything")).one("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


def the_autoscaler_counts_calls():
    spec = render(profile("production")).one("HorizontalPodAutoscaler")["spec"]
    by_name = {(one.get("resource") or one["pods"]["metric"])["name"]: one for one in spec["metrics"]}
    assert by_name["cpu"]["resource"]["target"]["averageUtilization"] == 75
    assert by_name["sabir_requests_in_flight"]["pods"]["target"] == {"type": "AverageValue", "averageValue": "200"}
    assert "replicas" not in render(profile("production")).one("Deployment")["spec"], "two would set the number of pods"


def the_configuration_is_what_was_given():
    given = profile("production")["config"]
    read = tomllib.loads(render(profile("production")).one("ConfigMap", "-config")["data"]["sabir.toml"])
    assert read == given, f"{read} is not {given}"
    odd = {"a": {"text": "\"quotes\" \\ <&> \u00e9\n\ttab", "whole": 10_000_000, "part": 0.25, "no": False, "list": [1, 2.5], "empty": {},
                 "of maps": [{"x": "y"}, {"k w": [True]}], "deep": {"er.dot": {"key": "v"}}}}
    read = tomllib.loads(render({"config": odd}).one("ConfigMap", "-config")["data"]["sabir.toml"])
    assert read == odd, f"{read} is not {odd}"
    text = render(profile("everything")).one("ConfigMap", "-config")["data"]["sabir.toml"]
    assert tomllib.loads(text) == {"aliases": {"fast": "openai/gpt-4o-mini"}}
    sum_of = lambda v: render(v).one("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    assert sum_of({"config": {"a": {"b": 1}}}) != sum_of({"config": {"a": {"b": 2}}}), "pods would keep the old configuration"


def known_variables():
    """The variables of docs/configuration.md, and those of settings that the chart knows of as well."""
    return set(re.findall(r"`(SABIR_[A-Z0-9_]+)`", (ROOT / "docs/configuration.md").read_text()))


# Described with the parts of Sabir that read them.
FURTHER = {
    "SABIR_ADMIN__LISTEN", "SABIR_TELEMETRY__OTLP_ENDPOINT", "SABIR_SERVER__TLS__CERT_FILE", "SABIR_SERVER__TLS__KEY_FILE",
    "SABIR_SERVER__TLS__CLIENT_CA_FILE",
}


def the_variables_are_known_to_the_server():
    known = known_variables() | FURTHER
    for name, objects in every():
        for owner, pod in objects.pods():
            for one in [*pod.get("initContainers", []), *pod["containers"]]:
                for variable in one.get("env", []):
                    if variable["name"].startswith("SABIR_"):
                        assert variable["name"] in known, f"{name}, {owner}: {variable['name']} is in no documentation"


def the_server_takes_every_configuration():
    # Reading all of it is the first thing that any command does which needs a database.
    documented = known_variables()
    for name, objects in every():
        pod = objects.one("Deployment")["spec"]["template"]["spec"]
        env = {}
        for variable in pod["containers"][0]["env"]:
            is_file = variable.get("value", "").startswith("/")
            if variable["name"] in documented and "value" in variable and not is_file:
                env[variable["name"]] = variable["value"]
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "sabir.toml"
            config.write_text(objects.one("ConfigMap", "-config")["data"]["sabir.toml"])
            env |= {
                "SABIR_CONFIG": str(config),
                "SABIR_DATABASE__URL": f"sqlite:{folder}/sabir.db",
                "SABIR_AUTH__SECRET": "0" * 64,
                # Its file is in the image.
                "SABIR_LOCAL__ENABLED": "false",
                "OPENAI_API_KEY": "sk-none",
                "ANTHROPIC_API_KEY": "sk-none",
            }
            done = subprocess.run([PROGRAM, "migrate"], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{name}: {done.stderr.strip()}"


def secrets_come_as_variables_and_files():
    pod = render(profile("production")).one("Deployment")["spec"]["template"]["spec"]
    one = pod["containers"][0]
    env = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in one["env"] if "secretKeyRef" in e.get("valueFrom", {})}
    assert env == {
        "SABIR_AUTH__SECRET": {"name": "sabir-auth", "key": "secret"},
        "SABIR_DATABASE__URL": {"name": "sabir-db-app", "key": "uri"},
        "GROQ_API_KEY": {"name": "groq", "key": "token"},
    }, env
    assert one["envFrom"] == [{"secretRef": {"name": "vendor-keys"}}]
    for values in (profile(p.name.removesuffix("-values.yaml")) for p in PROFILES):
        for _, pod in render(values).pods():
            volumes = {volume["name"] for volume in pod.get("volumes", [])}
            mounts = {m["name"] for c in [*pod.get("initContainers", []), *pod["containers"]] for m in c.get("volumeMounts", [])}
            assert mounts == volumes, f"{mounts ^ volumes} is not both a volume and a mount"


def values_that_cannot_be_meant_are_refused():
    cases = {
        "replicas": {"replicas": 3},
        "replicaCount": {"replicaCount": "three"},
        "pullPolicy": {"image": {"pullPolicy": "Sometimes"}},
        "tag": {"image": {"tag": "latest"}},
        "digest": {"image": {"digest": "sha256:12"}},
        "mode": {"auth": {"mode": "off"}},
        "kind": {"database": {"kind": "mysql"}},
        "password": {"database": {"password": "x"}},
        "drainSeconds": {"shutdown": {"drainSeconds": "30s"}},
        "marginSeconds": {"shutdown": {"marginSeconds": 0}},
        "port": {"service": {"port": 70000}},
        "metrics": {"metrics": {"port": 8080}},
        "hosts": {"ingress": {"enabled": True, "hosts": ["https://llm.example.com"]}},
        "otlpEndpoint": {"telemetry": {"otlpEndpoint": "collector:4317"}},
        "'openai' does not match": {"providers": {"keys": {"openai": {"name": "a", "key": "b"}}}},
        "config": {"config": {"server": 5}},
        "interval": {"serviceMonitor": {"interval": 30}},
    }
    for word, values in cases.items():
        said = refusal(values)
        assert word in said, f"{values}: {said or 'was taken'}"
    rules = {
        "database.existingSecret.name": {"database": {"kind": "postgres"}},
        "needs database.kind: postgres": {"replicaCount": 2},
        "autoscaling.enabled": {"autoscaling": {"enabled": True}},
        "auth.allowUnauthenticated": {"auth": {"mode": "open"}},
        "tls.existingSecret": {"tls": {"enabled": True}},
        "without tls.enabled": {"tls": {"clientCA": {"existingSecret": "ca"}}},
        "ingress.hosts must": {"ingress": {"enabled": True}},
        "one protocol for a name": {
            "ingress": {"enabled": True, "hosts": ["a.example"], "grpc": {"enabled": True, "hosts": ["a.example"]}}
        },
        "httpRoute.parentRefs": {"httpRoute": {"enabled": True}},
        "backendTLS.caConfigMap": merged(profile("tls"), {"httpRoute": {"backendTLS": {"caConfigMap": ""}}}),
        "autoscaling.maxReplicas": POSTGRES | {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}},
        "one of autoscaling.": POSTGRES | {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}},
        "metrics.enabled": {"metrics": {"enabled": False}, "serviceMonitor": {"enabled": True}},
        "give one of them": {"config": {"log": {"x": 1}}, "configFile": "a = 1"},
        "shutdown.drainSeconds": {"config": {"server": {"drain_timeout": "1m"}}},
        "database.existingSecret": {"config": {"database": {"url": "postgres://"}}},
        "SABIR_PROVIDERS__BOX__API_KEY": {"config": {"providers": {"box": {"api_key": "sk-1"}}}},
    }
    for word, values in rules.items():
        said = refusal(values)
        assert word in said, f"{values}: {said or 'was taken'}"


def the_schema_is_closed_and_knows_every_value():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    # Objects of Kubernetes, which it checks itself.
    free = {"podSecurityContext", "securityContext", "global", "autoscaling.behavior.scaleDown", "autoscaling.behavior.scaleUp"}

    # Whose members are Kubernetes' and need no default.
    sometimes = {"autoscaling.behavior", "resources"}

    def compare(values, schema, path):
        for key, value in values.items():
            where = f"{path}.{key}".lstrip(".")
            assert key in schema["properties"], f"{where} is in no schema"
            sub = schema["properties"][key]
            sub = schema_of(sub)
            if sub.get("type") == "object" and where not in free:
                assert "additionalProperties" in sub, f"{where} is open"
                if "properties" in sub and isinstance(value, dict) and value:
                    compare(value, sub, where)
        if path not in sometimes:
            missing = schema["properties"].keys() - values.keys()
            assert not missing, f"{path}: {missing} is in the schema and has neither default nor description"
    def schema_of(sub):
        return schema["$defs"][sub["$ref"].rsplit("/", 1)[1]] if "$ref" in sub else sub

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == values.keys(), schema["properties"].keys() ^ values.keys()
    compare(values, schema, "")


def the_readme_is_current():
    done = subprocess.run([sys.executable, ROOT / "scripts/chart-readme", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()
    text = (CHART / "README.md").read_text()
    for key in yaml.safe_load((CHART / "values.yaml").read_text()):
        assert f"| `{key}" in text, f"{key} is not in the table"
    rules = yaml.safe_load((CHART / "rules/alerts.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in text, f"{rule['alert']} is not in the table"


def the_notes_say_how_the_first_administrator_is_made():
    notes = lambda values: texts(values)["sabir/templates/NOTES.txt"]
    assert "sabir users create-admin" in notes({}) and "no default password" in notes({})
    assert "No model is configured" in notes({}) and "No model" not in notes(profile("production"))
    assert "may ask models and administer" in notes(profile("local-model"))
    assert "llm.example.com" in notes(profile("production"))


def the_packaged_chart_holds_what_it_needs():
    names = {file["name"] for file in helm.Chart.load(CHART).files}
    assert {"rules/alerts.yaml", "rules/records.yaml", "dashboards/sabir.json", "README.md"} <= names, names
    assert not [name for name in names if name.startswith("ci/") or name in ("metrics.txt", "README.head.md")], names


if __name__ == "__main__":
    run([
        helm_lint_finds_nothing,
        kubernetes_takes_every_object,
        custom_resources_fit_their_definitions,
        the_checkers_find_what_is_wrong,
        names_and_labels_are_those_of_the_release,
        every_pod_is_hardened,
        every_image_is_pinned,
        there_is_time_to_stop,
        probes_ask_for_health,
        no_secret_is_made_and_none_has_a_default,
        the_database_is_migrated_before_it_is_served,
        one_process_at_a_time_has_the_file,
        one_route_serves_every_protocol,
        metrics_are_not_where_callers_are,
        the_network_policy_lets_through_what_is_named,
        the_autoscaler_counts_calls,
        the_configuration_is_what_was_given,
        the_variables_are_known_to_the_server,
        the_server_takes_every_configuration,
        secrets_come_as_variables_and_files,
        values_that_cannot_be_meant_are_refused,
        the_schema_is_closed_and_knows_every_value,
        the_readme_is_current,
        the_notes_say_how_the_first_administrator_is_made,
        the_packaged_chart_holds_what_it_needs,
    ])
