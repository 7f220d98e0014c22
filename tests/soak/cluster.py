"""What is tried: two replicas of Sabir on one Postgres, Envoy in front, proxies before the database and the upstream."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
SABIR = Path(os.environ.get("SOAK_SABIR", ROOT / "target/release/sabir"))
ENVOY = ROOT / "target/clients/interop/bin/envoy"
BALANCER = ROOT / "tests/replicas/envoy.yaml"
POSTGRES = ROOT / "scripts/postgres"
SERVER = "soak"

CONFIG = """
[server]
drain_timeout = "20s"
[auth]
mode = "required"
secret = "0123456789abcdef0123456789abcdef"
[providers.scripted]
vendor = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "sk-scripted"
[models]
default_provider = "scripted"
[local]
enabled = false
[prices]
file = "{prices}"
[aliases]
swapped = "scripted/{alias}"
[log]
format = "json"
"""
PRICES = """
[[vendors]]
provider = "scripted"
source = "https://example.com/prices"
as_of = "2026-01-01"
models = [{ model = "*", input = "1", output = "2" }]
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def postgres(*words):
    return subprocess.run([POSTGRES, *words], capture_output=True, text=True, check=True).stdout.strip()


class Replica:
    """One server. It keeps its ports when it is started again."""

    def __init__(self, number, folder, config, database):
        self.name = f"replica {number}"
        self.port, self.admin = free_port(), free_port()
        self.log, self.config, self.database = folder / f"replica-{number}.log", config, database
        self.process = None

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return kept | {
            "DATABASE_URL": self.database,
            "SABIR_LISTEN": f"127.0.0.1:{self.port}",
            "SABIR_ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
        }

    def run(self, *words, given=None):
        """A command of the program, with the same configuration."""
        command = [SABIR, *words, "--config", self.config]
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=self.environment())
        if done.returncode:
            raise SystemExit(f"soak: sabir {words[0]}: {done.stderr}")
        return done.stdout

    async def start(self):
        with self.log.open("a") as log:
            command = [SABIR, "serve", "--config", self.config]
            self.process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)
        await self.until_ready()

    async def until_ready(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                raise SystemExit(f"soak: {self.name} ended by itself:\n{self.log.read_text()[-2000:]}")
            if await asyncio.to_thread(self.get, "/readyz"):
                return
            await asyncio.sleep(0.05)
        raise SystemExit(f"soak: {self.name} is not ready after a minute")

    def get(self, path):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5).read().decode()
        except OSError:
            return None

    def metric(self, name):
        """The sum of the samples of a metric."""
        lines = (self.get("/metrics") or "").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def signal(self, number):
        self.process.send_signal(number)

    async def ended(self):
        return await asyncio.to_thread(self.process.wait)

    def memory(self):
        """MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Cluster:
    def __init__(self, folder):
        self.folder, self.config = folder, folder / "sabir.toml"
        url = postgres("start", SERVER)
        postgres("psql", SERVER, "-qc", "DROP DATABASE IF EXISTS soak WITH (FORCE)")
        postgres("psql", SERVER, "-qc", "CREATE DATABASE soak")
        # What is said to be written must be there after a crash.
        postgres("psql", SERVER, "-qc", "ALTER DATABASE soak SET synchronous_commit = on")
        direct = int(re.search(r":(\d+)/", url)[1])
        self.database = Proxy(free_port(), direct)
        self.upstream_port = free_port()
        self.upstream = Proxy(free_port(), self.upstream_port)
        (folder / "prices.toml").write_text(PRICES)
        self.configure("quick")
        database = url.replace(f":{direct}/", f":{self.database.port}/").rsplit("/", 1)[0] + "/soak"
        self.replicas = [Replica(number, folder, self.config, database) for number in (1, 2)]
        self.envoy, self.port = None, free_port()

    def configure(self, alias):
        """Writes the configuration, as an editor does: at once."""
        new = self.folder / "new.toml"
        prices = self.folder / "prices.toml"
        new.write_text(CONFIG.format(upstream=self.upstream.port, prices=prices, alias=alias))
        new.replace(self.config)

    async def start(self):
        await self.database.start()
        await self.upstream.start()
        await asyncio.to_thread(self.replicas[0].run, "migrate")
        said = await asyncio.to_thread(
            self.replicas[0].run, "users", "create-admin", "soak", "--password-stdin", given="a long password\n"
        )
        for replica in self.replicas:
            await replica.start()
        one, other = (str(replica.port) for replica in self.replicas)
        text = BALANCER.read_text().replace("@LISTEN@", str(self.port)).replace("@ONE@", one).replace("@OTHER@", other)
        (self.folder / "envoy.yaml").write_text(text)
        command = [ENVOY, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error", "-c", self.folder / "envoy.yaml"]
        with (self.folder / "envoy.log").open("w") as log:
            self.envoy = subprocess.Popen(command, stdout=log, stderr=log)
        await asyncio.sleep(2)
        return re.search(r"sk-sabir-\w+", said)[0]

    def query(self, statement):
        """Rows of what is in the database, past the proxy."""
        said = postgres("psql", SERVER, "-d", "soak", "-qAtF", "|", "-c", statement)
        return [line.split("|") for line in said.splitlines() if line]

    async def stop(self):
        for replica in self.replicas:
            if replica.process is not None and replica.process.poll() is None:
                replica.signal(signal.SIGKILL)
        if self.envoy is not None:
            self.envoy.kill()
        await self.database.stop()
        await self.upstream.stop()
        await asyncio.to_thread(postgres, "wipe", SERVER)
