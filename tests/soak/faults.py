"""What goes wrong, one thing after another, and how calls may end meanwhile that would have gone well."""

import asyncio
import contextlib
import dataclasses
import signal
import time

from cluster import SERVER, postgres


@dataclasses.dataclass
class Window:
    """From when to when a fault was felt."""

    name: str
    began: float
    ended: float = float("inf")
    # How calls may end that were open meanwhile.
    allowed: frozenset = frozenset()
    # Whose calls: the replica that was killed; everybody's if empty.
    replica: str = ""


# A caller cannot tell why; what it sees is one of these.
GONE = frozenset({"UNAVAILABLE", "CUT", "ERROR"})


class Faults:
    def __init__(self, cluster, hold, calm, say):
        self.cluster, self.hold, self.calm, self.say = cluster, hold, calm, say
        self.windows, self.alias = [], "quick"

    def cycle(self, with_restarts):
        """Everything once."""
        restarts = [self.rolling_restart, self.kill] if with_restarts else []
        return [
            *restarts,
            self.reload_by_signal,
            self.reload_by_file,
            self.database_slow,
            self.database_cut,
            self.database_crash,
            self.upstream_down,
        ]

    async def run(self, seconds):
        """Cycles until it is time to end; the last one is finished in any case. In the second half no server is started
        again, so that what grows can be seen to."""
        began = time.monotonic()
        until, half = began + seconds, began + seconds / 2
        while True:
            for fault in self.cycle(with_restarts=time.monotonic() < half):
                self.say(f"fault: {fault.__name__.replace('_', ' ')}")
                await fault()
                await asyncio.sleep(self.calm)
            if time.monotonic() >= until:
                return

    @contextlib.asynccontextmanager
    async def window(self, name, allowed=frozenset(), grace=0.0, replica=""):
        window = Window(name, time.monotonic(), allowed=frozenset(allowed), replica=replica)
        self.windows.append(window)
        try:
            yield
        finally:
            # Connections and breakers need a moment to recover.
            await asyncio.sleep(grace)
            window.ended = time.monotonic()

    async def rolling_restart(self):
        """No call may fail, and no stream be cut."""
        async with self.window("rolling restart"):
            for replica in self.cluster.replicas:
                replica.signal(signal.SIGTERM)
                if code := await replica.ended():
                    raise SystemExit(f"soak: {replica.name} ended with {code} on SIGTERM:\n{replica.log.read_text()[-2000:]}")
                await replica.start()
                await asyncio.sleep(2)

    async def kill(self):
        replica = self.cluster.replicas[len(self.windows) % 2]
        async with self.window("kill -9", GONE, grace=1, replica=f"127.0.0.1:{replica.port}"):
            replica.signal(signal.SIGKILL)
            await replica.ended()
        async with self.window("one replica", grace=0):
            await asyncio.sleep(self.hold / 2)
            await replica.start()

    def swap(self):
        self.alias = "slow" if self.alias == "quick" else "quick"
        self.cluster.configure(self.alias)

    async def reload_by_signal(self):
        async with self.window("reload by SIGHUP"):
            self.swap()
            for replica in self.cluster.replicas:
                replica.signal(signal.SIGHUP)
            await asyncio.sleep(self.hold / 2)

    async def reload_by_file(self):
        async with self.window("reload by file"):
            self.swap()
            # Files are looked at every five seconds.
            await asyncio.sleep(6)

    async def database_slow(self):
        async with self.window("database slow", {"UNAVAILABLE"}, grace=2):
            self.cluster.database.delay = 0.3
            await asyncio.sleep(self.hold)
            self.cluster.database.delay = 0.0

    async def database_cut(self):
        async with self.window("database cut", {"UNAVAILABLE"}, grace=2):
            await self.cluster.database.stop()
            await asyncio.sleep(self.hold)
            await self.cluster.database.start()

    async def database_crash(self):
        async with self.window("database crash", {"UNAVAILABLE"}, grace=2):
            await asyncio.to_thread(postgres, "stop", SERVER)
            await asyncio.sleep(self.hold)
            await asyncio.to_thread(postgres, "start", SERVER)

    async def upstream_down(self):
        # Breakers that have opened let a call through again after ten seconds at the latest.
        async with self.window("upstream down", GONE, grace=12):
            await self.cluster.upstream.stop()
            await asyncio.sleep(self.hold)
            await self.cluster.upstream.start()
