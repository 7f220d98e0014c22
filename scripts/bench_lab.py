"""What the comparisons in `scripts/bench-*` share: servers pinned to one processor, the load generator and the upstream of the
harness (../shared/bench, or BENCH_HARNESS), and what the kernel says that a process has used."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARNESS = Path(os.environ.get("BENCH_HARNESS", ROOT.parent / "shared/bench"))
LAB = ROOT / "target/bench"
SECONDS = os.environ.get("BENCH_SECONDS", "2")
SABIR = Path(os.environ.get("BENCH_SABIR", ROOT / "target/release/sabir"))
TICK = os.sysconf("SC_CLK_TCK")
PRICES = """
[[vendors]]
provider = "mock"
source = "https://example.com/prices"
as_of = "2026-01-01"
models = [{ model = "*", input = "1", output = "2" }]
"""


def fail(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def build():
    """The program, unless BENCH_SABIR names one that is there."""
    if "BENCH_SABIR" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "sabir"], cwd=ROOT, check=True)


def tool(name):
    """Builds a program of the harness where that has not been done."""
    if not HARNESS.is_dir():
        fail(f"no harness at {HARNESS} (set BENCH_HARNESS)")
    program = LAB / "target/release" / name
    if not program.exists():
        source = LAB / "harness" / name
        subprocess.run(["mkdir", "-p", str(source)], check=True)
        subprocess.run(["cp", "-r", f"{HARNESS / name}/.", str(source)], check=True)
        environment = dict(os.environ, CARGO_TARGET_DIR=str(LAB / "target"))
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=source, env=environment, check=True)
    return program


def bodies():
    """The request bodies of the harness: a folder."""
    folder = LAB / "payloads"
    subprocess.run([sys.executable, HARNESS / "payloads/make.py", folder], check=True)
    return folder


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def postgres(*names):
    """Starts Postgres and makes these databases anew. Answers their URLs."""
    command = [ROOT / "scripts/postgres", "start"]
    url = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    for name in names:
        for statement in (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
            subprocess.run([ROOT / "scripts/postgres", "psql", "-qc", statement], check=True, stderr=subprocess.DEVNULL)
    return [url.rsplit("/", 1)[0] + f"/{name}" for name in names]


def load_average():
    return f"{' '.join(f'{load:.2f}' for load in os.getloadavg())}, {os.cpu_count()} processors"


def used(pid):
    """Seconds of processor time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    """MiB of memory that a process has now."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Process:
    """A server on one processor."""

    def __init__(self, name, port, command, log, cpus="0", environment=None):
        self.name, self.port, self.headers = name, port, {}
        self.log = log.open("w")
        command = ["taskset", "-c", cpus, *map(str, command)]
        environment = dict(os.environ, **(environment or {}))
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.02)
        fail(f"{name} did not start: {log.read_text()}")

    def cpu(self):
        return used(self.process.pid)

    def memory(self):
        return resident(self.process.pid)

    def load(self, generator, body, *options, path="/v1/chat/completions", tolerant=False):
        """Has the generator send this body. Answers what it says, and the processor time that the server took."""
        command = ["taskset", "-c", "1", str(generator), "--url", f"http://127.0.0.1:{self.port}{path}"]
        command += ["--body", str(body), "--duration", SECONDS, *options]
        for name, value in self.headers.items():
            command += ["--header", f"{name}: {value}"]
        before = self.cpu()
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        spent = self.cpu() - before
        if said["errors"] and not tolerant:
            fail(f"{self.name}: {said}")
        return said, spent

    def stop(self):
        self.process.kill()
        self.process.wait()


class Sabir(Process):
    """Sabir with one worker, in front of the mock at `upstream`; `settings` is more of its configuration."""

    def __init__(self, name, folder, upstream, database, governed=False, settings="", workers=1, cpus="0"):
        port = free_port()
        prices = folder / "prices.toml"
        prices.write_text(PRICES)
        self.config = folder / f"{name}.toml"
        self.config.write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\nworkers = {workers}\n{settings}\n[database]\nurl = "{database}"\n'
            f'[providers.mock]\nvendor = "openai"\nbase_url = "http://127.0.0.1:{upstream}/v1"\n'
            '[models]\ndefault_provider = "mock"\n'
            + (f'[auth]\nmode = "required"\n[prices]\nfile = "{prices}"\n' if governed else "")
        )
        if database.startswith("postgres"):
            self.run("migrate")
        said = self.run("users", "create-admin", "bench", "--password-stdin", given="a long password\n") if governed else ""
        command = [SABIR, "serve", "--config", self.config]
        super().__init__(name, port, command, folder / f"{name}.log", cpus, {"SABIR_LOCAL__ENABLED": "false"})
        if governed:
            self.headers = {"authorization": "Bearer " + re.search(r"sk-sabir-\w+", said)[0]}
            self.govern()

    def run(self, *words, given=None):
        command = [str(SABIR), *words, "--config", str(self.config)]
        done = subprocess.run(command, input=given, capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"{shlex.join(command)}: {done.stderr}")
        return done.stdout

    def post(self, path, message):
        headers = {"content-type": "application/json", **self.headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(message).encode(), headers)
        try:
            return json.load(urllib.request.urlopen(request))
        except urllib.error.HTTPError as error:
            fail(f"{path}: {error.code} {error.read().decode()}")

    def govern(self):
        """A key in a team, with every kind of limit and a budget that does not run out."""
        team = self.post("/v1/admin/teams", {"name": "bench"})["id"]
        key = self.post("/v1/admin/keys", {"name": "bench", "team_id": team, "scopes": ["chat"]})
        figures = {"requests_per_minute": 10_000_000, "tokens_per_minute": 1_000_000_000, "concurrent_requests": 5000}
        self.post("/v1/admin/limits", {"subject_kind": "key", "subject": key["key"]["id"], **figures})
        self.post("/v1/admin/limits", {"subject_kind": "team", "subject": team, **figures})
        budget = {"subject_kind": "team", "subject": team, "amount_nanos": 10**15, "period": "month"}
        self.post("/v1/admin/budgets", budget)
        self.headers = {"authorization": f"Bearer {key['secret']}"}


def mock(folder):
    """The upstream of the harness. Behaviour by the model's name."""
    port = free_port()
    return Process("mock", port, [tool("mock-upstream"), "--port", port], folder / "mock.log", cpus="1")
