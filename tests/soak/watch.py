"""What servers say of themselves while the run goes on: their logs, their memory, their descriptors."""

import asyncio
import collections
import json
import time


class Log:
    """The log of one server over all its starts, read as it grows."""

    def __init__(self, path):
        self.path, self.read = path, 0
        self.events = collections.Counter()
        # Lines that are errors, and what is not a line of the log at all, as the words of a panic are.
        self.errors = []

    def look(self):
        """How often each event has happened so far."""
        if not self.path.exists():
            return self.events
        with self.path.open("rb") as log:
            log.seek(self.read)
            new = log.read()
        whole = new.rfind(b"\n") + 1
        self.read += whole
        for line in new[:whole].splitlines():
            self.note(line.decode(errors="replace"))
        return self.events

    def note(self, line):
        try:
            told = json.loads(line)
        except ValueError:
            self.errors.append(("", line))
            return
        event = told.get("event") or told.get("fields", {}).get("event", "")
        self.events[event] += 1
        if told.get("level") == "ERROR":
            self.errors.append((event, line))

    async def until(self, event, count, seconds):
        """Whether the event has happened so often before the time is over."""
        end = time.monotonic() + seconds
        while self.look()[event] < count:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        return True


async def sample(replicas, samples):
    """Time, MiB and descriptors of each server every other second, anew with each start."""
    known = {}
    while True:
        for replica in replicas:
            try:
                taken = (time.monotonic(), replica.memory(), replica.descriptors())
            except (OSError, TypeError):
                continue
            if known.get(replica.name) != replica.process.pid:
                known[replica.name] = replica.process.pid
                samples[replica.name] = []
            samples[replica.name].append(taken)
        await asyncio.sleep(2)


async def progress(callers, samples, say, every):
    """A line now and then for whoever is waiting."""
    before = 0
    while True:
        await asyncio.sleep(every)
        count = len(callers.calls)
        failed = sum(call.outcome not in ("OK", "LEFT") for call in callers.calls)
        memory = ", ".join(f"{taken[-1][1]:.0f}" for taken in samples.values() if taken)
        say(f"{count} calls ({(count - before) / every:.0f}/s), {failed} of them failed; memory {memory} MiB")
        before = count
