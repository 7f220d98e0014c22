"""What is tried: two replicas on one Postgres behind Envoy, with proxies before the database and the upstream."""

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from proxy import Proxy
from watch import Log

ROOT = Path(__file__).resolve().parents[2]
SABIR = Path(os.environ.get("SOAK_SABIR", ROOT / "target/release/sabir"))
ENVOY = ROOT / "target/clients/interop/bin/envoy"
BALANCER = ROOT / "tests/replicas/envoy.yaml"
POSTGRES = ROOT / "scripts/postgres"
# Of this run alone: others may go on beside it.
SERVER = f"soak-{os.getpid()}"

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
[upstream]
idle_timeout = "2s"
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


class Broken(Exception):
    """The run cannot go on. What it is up to then is accounted for all the same."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port, path):
    """The body, or nothing if there is none to be had."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read().decode()
    except (OSError, http.client.HTTPException):
        return None


def postgres(*words):
    return subprocess.run([POSTGRES, *words], capture_output=True, text=True, check=True).stdout.strip()


class Replica:
    """One server. It keeps its ports when it is started again."""

    def __init__(self, number, folder, config, database):
        self.name = f"replica {number}"
        self.port, self.admin = free_port(), free_port()
        self.log, self.config, self.database = folder / f"replica-{number}.log", config, database
        self.process, self.said = None, Log(self.log)

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
            raise Broken(f"sabir {words[0]}: {done.stderr}")
        return done.stdout

    async def start(self):
        with self.log.open("a") as log:
            command = [SABIR, "serve", "--config", self.config]
            self.process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)
        await self.until_ready()

    async def until_ready(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                raise Broken(f"{self.name} ended by itself:\n{self.log.read_text()[-2000:]}")
            if await asyncio.to_thread(self.get, "/readyz"):
                return
            await asyncio.sleep(0.05)
        raise Broken(f"{self.name} is not ready after a minute")

    def get(self, path):
        return get(self.admin, path)

    def metric(self, name):
        """The sum of the samples of a metric."""
        lines = (self.get("/metrics") or "").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def signal(self, number):
        self.process.send_signal(number)

    async def ended(self):
        """Its exit code. It has twenty seconds for open calls, and ten for the last rows."""
        try:
            return await asyncio.to_thread(self.process.wait, 60)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} does not end:\n{self.log.read_text()[-2000:]}") from None

    def memory(self):
        """MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Cluster:
    def __init__(self, folder):
        self.folder, self.config = folder, folder / "sabir.toml"
        self.database = Proxy(free_port())
        self.upstream_port = free_port()
        self.upstream = Proxy(free_port(), self.upstream_port)
        (folder / "prices.toml").write_text(PRICES)
        self.configure("quick")
        self.envoy, self.port = None, free_port()
        database = f"postgres://postgres@127.0.0.1:{self.database.port}/soak"
        self.replicas = [Replica(number, folder, self.config, database) for number in (1, 2)]

    def configure(self, alias, nonsense=""):
        """Writes the configuration, as an editor does: at once."""
        new = self.folder / "new.toml"
        prices = self.folder / "prices.toml"
        new.write_text(CONFIG.format(upstream=self.upstream.port, prices=prices, alias=alias) + nonsense)
        new.replace(self.config)

    async def start(self, prepare):
        """Starts everything. What `prepare` makes with the key of an administrator is there before the replicas start:
        of what is made later they hear within a second, and until then a new budget holds for nobody."""
        url = await asyncio.to_thread(postgres, "start", SERVER)
        self.database.target = int(re.search(r":(\d+)/", url)[1])
        await asyncio.to_thread(postgres, "psql", SERVER, "-qc", "CREATE DATABASE soak")
        # What is said to be written must be there after a crash.
        durable = "ALTER DATABASE soak SET synchronous_commit = on"
        await asyncio.to_thread(postgres, "psql", SERVER, "-qc", durable)
        await self.database.start()
        await self.upstream.start()
        await asyncio.to_thread(self.replicas[0].run, "migrate")
        said = await asyncio.to_thread(
            self.replicas[0].run, "users", "create-admin", "soak", "--password-stdin", given="a long password\n"
        )
        key = re.search(r"sk-sabir-\w+", said)[0]
        await self.replicas[0].start()
        made = await asyncio.to_thread(prepare, key)
        self.replicas[0].signal(signal.SIGTERM)
        await self.replicas[0].ended()
        for replica in self.replicas:
            await replica.start()
        one, other = (str(replica.port) for replica in self.replicas)
        text = BALANCER.read_text().replace("@LISTEN@", str(self.port)).replace("@ONE@", one).replace("@OTHER@", other)
        (self.folder / "envoy.yaml").write_text(text)
        settings = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
        command = [ENVOY, *settings, "-c", self.folder / "envoy.yaml"]
        with (self.folder / "envoy.log").open("w") as log:
            self.envoy = subprocess.Popen(command, stdout=log, stderr=log)
        await self.until_balanced()
        return made

    async def until_balanced(self):
        """The balancer has heard from both replicas that they are ready."""
        well = 0
        for _ in range(600):
            if self.envoy.poll() is not None:
                raise Broken(f"the balancer ended by itself:\n{(self.folder / 'envoy.log').read_text()[-2000:]}")
            well = well + 1 if await asyncio.to_thread(get, self.port, "/readyz") else 0
            if well == 20:
                return
            await asyncio.sleep(0.05)
        raise Broken("the balancer does not take the replicas for ready")

    def query(self, statement):
        """Rows of what is in the database, past the proxy."""
        said = postgres("psql", SERVER, "-d", "soak", "-qAtF", "|", "-c", statement)
        return [line.split("|") for line in said.splitlines() if line]

    async def stop(self):
        for process in [replica.process for replica in self.replicas] + [self.envoy]:
            if process is not None:
                process.kill()
                process.wait()
        await self.database.stop()
        await self.upstream.stop()
        await asyncio.to_thread(postgres, "wipe", SERVER)
