"""What goes wrong, one thing after another, and how calls may end meanwhile that would have gone well."""

import asyncio
import contextlib
import dataclasses
import signal
import time

from cluster import SERVER, Broken, postgres


@dataclasses.dataclass
class Window:
    """From when to when a fault was felt."""

    name: str
    began: float
    ended: float = float("inf")
    # How calls may end that were open meanwhile.
    allowed: frozenset = frozenset()
    # The replica that was killed, and when, in seconds since 1970.
    replica: str = ""
    at: float = 0.0


@dataclasses.dataclass
class Alias:
    """From when to when all replicas took the name `swapped` for this model."""

    model: str
    began: float
    ended: float = float("inf")


# A caller cannot tell why; what it sees is one of these.
GONE = frozenset({"UNAVAILABLE", "CUT", "ERROR"})
# What the alias means, one after another. Three, so that the second of two changes in a row is not what was before.
MODELS = ["quick", "slow", "swift"]
# How often servers look at their files, with a moment to read them.
LOOKS = 5 + 3
# How long a replica may take to give back what it holds of a budget that nobody uses.
GIVES_BACK = 15


class Faults:
    def __init__(self, cluster, callers, leased, hold, calm, say):
        """`leased` asks how much replicas hold of the budget of a key."""
        self.cluster, self.callers, self.leased = cluster, callers, leased
        self.hold, self.calm, self.say = hold, calm, say
        self.windows, self.problems = [], []
        # Asked to end after the fault that has begun; whether everything has happened once.
        self.stopping = self.complete = False
        self.kills, self.alias = 0, MODELS[0]
        self.aliases = [Alias(self.alias, time.monotonic())]

    def restarts(self):
        return [self.rolling_restart, self.kill]

    def others(self):
        return [
            self.reload_by_signal,
            self.reload_by_file,
            self.reload_of_nonsense,
            self.database_slow,
            self.database_cut,
            self.database_crash,
            self.upstream_slow,
            self.upstream_down,
        ]

    async def run(self, restarts_until, until):
        """Everything once, and then again and again until it is time to end."""
        while True:
            restarts = self.restarts() if not self.complete or time.monotonic() < restarts_until else []
            for fault in restarts + self.others():
                if self.stopping or self.complete and time.monotonic() >= until:
                    return
                self.say(f"fault: {fault.__name__.replace('_', ' ')}")
                await fault()
                await asyncio.sleep(self.calm)
            self.complete = True
            if time.monotonic() >= until:
                return

    @contextlib.asynccontextmanager
    async def window(self, name, allowed=frozenset(), grace=0.0, replica=""):
        window = Window(name, time.monotonic(), allowed=frozenset(allowed), replica=replica, at=time.time())
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
                    raise Broken(f"{replica.name} ended with {code} on SIGTERM:\n{replica.log.read_text()[-2000:]}")
                await replica.start()
                await asyncio.sleep(1)

    async def kill(self):
        """One replica, the other one next time. What it held of the budget of `careful` it has given back before."""
        await self.callers.rest("careful")
        end = time.monotonic() + GIVES_BACK
        while await self.leased("careful"):
            if time.monotonic() > end:
                self.problems.append(f"a budget that nobody uses is still held after {GIVES_BACK} s")
                break
            await asyncio.sleep(0.2)
        replica = self.cluster.replicas[self.kills % 2]
        self.kills += 1
        async with self.window("kill -9", GONE, grace=1, replica=f"127.0.0.1:{replica.port}"):
            replica.signal(signal.SIGKILL)
            await replica.ended()
        self.callers.resting.discard("careful")
        async with self.window("one replica"):
            await asyncio.sleep(self.hold / 2)
            await replica.start()

    def swap(self):
        """Gives the alias its next model, in the file."""
        self.aliases[-1].ended = min(self.aliases[-1].ended, time.monotonic())
        self.alias = MODELS[(MODELS.index(self.alias) + 1) % len(MODELS)]
        self.cluster.configure(self.alias)

    def hang_up(self):
        for replica in self.cluster.replicas:
            replica.signal(signal.SIGHUP)

    async def swapped(self, how, within):
        """What the file says is what every replica does, in time."""
        if not await self.in_force(within):
            self.problems.append(f"{within} s are not enough for a change of the configuration {how} to count")
            # So that what follows is judged by itself.
            self.hang_up()
            if not await self.in_force(LOOKS):
                raise Broken("a change of the configuration does not count, even by SIGHUP")
        self.aliases.append(Alias(self.alias, time.monotonic()))

    async def in_force(self, within):
        end = time.monotonic() + within
        while True:
            used = [await self.callers.used(replica.port, "swapped") for replica in self.cluster.replicas]
            if all(name.endswith(self.alias) for name in used):
                return True
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.3)

    async def reload_by_signal(self):
        async with self.window("reload by SIGHUP"):
            self.swap()
            self.hang_up()
            await self.swapped("by SIGHUP", 2)

    async def reload_by_file(self):
        async with self.window("reload by file"):
            self.swap()
            await self.swapped("of the file alone", LOOKS)

    async def reload_of_nonsense(self):
        """What cannot be used is told of, and everything stays as it was."""
        async with self.window("reload of nonsense"):
            refused = [replica.said.look()["config-unusable"] for replica in self.cluster.replicas]
            self.cluster.configure(self.alias, nonsense="[nonsense]\nkey = 1\n")
            self.hang_up()
            for replica, before in zip(self.cluster.replicas, refused):
                if not await replica.said.until("config-unusable", before + 1, 2):
                    self.problems.append(f"{replica.name} says nothing of a configuration that cannot be used")
            self.cluster.configure(self.alias)
            self.hang_up()

    async def database_slow(self):
        """The file changes while the change before is still being read. The last one counts in the end."""
        async with self.window("database slow", {"UNAVAILABLE"}, grace=2):
            self.cluster.database.delay = 0.3
            self.swap()
            self.hang_up()
            await asyncio.sleep(0.7)
            self.swap()
            await asyncio.sleep(self.hold)
            self.cluster.database.delay = 0.0
        async with self.window("reload after a slow database"):
            await self.swapped("made while the one before was being read", LOOKS)

    async def database_cut(self):
        """Longer than leases of budgets last, if there is time. A file that changes meanwhile counts in the end."""
        async with self.window("database cut", {"UNAVAILABLE"}, grace=2):
            await self.cluster.database.stop()
            self.swap()
            await asyncio.sleep(max(2.25 * self.hold, LOOKS))
            await self.cluster.database.start()
        async with self.window("reload after the database"):
            await self.swapped("made while the database was away", 2 * LOOKS)

    async def database_crash(self):
        async with self.window("database crash", {"UNAVAILABLE"}, grace=2):
            await asyncio.to_thread(postgres, "stop", SERVER)
            await asyncio.sleep(self.hold)
            await asyncio.to_thread(postgres, "start", SERVER)

    async def upstream_slow(self):
        async with self.window("upstream slow"):
            self.cluster.upstream.delay = 0.1
            await asyncio.sleep(self.hold)
            self.cluster.upstream.delay = 0.0

    async def upstream_down(self):
        async with self.window("upstream down", GONE, grace=2):
            await self.cluster.upstream.stop()
            await asyncio.sleep(self.hold)
            await self.cluster.upstream.start()
