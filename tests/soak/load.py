"""Callers of every protocol, each with one call at a time, and what became of each call."""

import asyncio
import collections
import dataclasses
import random
import time

import httpx

from ways import Ways

# Models that let their callers down, by their names.
FAULTY = ["fails", "busy", "garbage", "cut", "stalls", "scrambled", "silent"]
# Models whose answers are always streams, because what is wrong with them is.
STREAMED = {"cut", "stalls", "scrambled", "slow"}
# How often each key is used.
KEYS = {"rich": 0.65, "careful": 0.15, "poor": 0.1, "limited": 0.1}
# What is said by those that answer, whole or piece by piece.
TEXTS = {"Hello.", "".join(f"{number} " for number in range(5)), "".join(f"{number} " for number in range(30))}


@dataclasses.dataclass(slots=True)
class Call:
    """One call, from its beginning to its end, in seconds of the monotonic clock."""

    protocol: str
    kind: str
    model: str
    key: str
    began: float
    ended: float = 0.0
    # The name of a status, or one of these. ERROR: the event of an error within a stream. CUT: an answer that does not
    # end. LEFT: the caller did not wait. WRONG: not the text that the model said. BROKEN: no answer of the protocol.
    outcome: str = ""
    # The id of its usage row, the model that answered, and the replica, as far as the answer told.
    id: str = ""
    used: str = ""
    replica: str = ""
    message: str = ""
    # Whether the answer told what is left of a budget.
    budgeted: bool = False

    def heard(self, headers):
        self.id = headers.get("sabir-request-id", self.id)
        self.used = headers.get("sabir-model-used", self.used)
        self.replica = headers.get("x-replica", self.replica)
        self.budgeted |= "sabir-budget-remaining" in headers

    def answered(self, text):
        """The answer came to its end."""
        self.outcome = "OK" if text in TEXTS else "WRONG"
        self.message = "" if text in TEXTS else text


class Callers:
    def __init__(self, port, keys, seed, most):
        self.ways, self.random, self.most = Ways(port, keys), random.Random(seed), most
        self.calls, self.stopping = [], False
        self.open, self.resting = collections.Counter(), set()

    async def run(self, count):
        """So many callers of each protocol, until `stopping`."""
        try:
            ways = [self.ways.grpc, self.ways.grpc_web, self.ways.rest]
            await asyncio.gather(*[self.caller(way) for way in ways for _ in range(count)])
        finally:
            await self.ways.close()

    async def rest(self, key):
        """Nobody uses this key until it is taken out of `resting`."""
        self.resting.add(key)
        while self.open[key]:
            await asyncio.sleep(0.05)

    async def used(self, port, model):
        """Which model the server at this port takes this name for. Empty if its answer does not tell."""
        call = Call("rest", "unary", model, "rich", time.monotonic())
        await self.make(call, lambda call: self.ways.rest(call, f"http://127.0.0.1:{port}"))
        return call.used

    def draw(self, protocol):
        dice = self.random.random()
        model = "quick"
        if dice < 0.15:
            model = self.random.choice(FAULTY)
        elif dice < 0.30:
            model = "slow"
        elif dice < 0.40:
            model = "swapped"
        kind = "stream" if model in STREAMED or self.random.random() < 0.3 else "unary"
        if kind == "stream" and model == "slow" and self.random.random() < 0.3:
            kind = "cancel"
        key = self.random.choices(list(KEYS), KEYS.values())[0]
        return Call(protocol, kind, model, "rich" if key in self.resting else key, time.monotonic())

    async def caller(self, way):
        while not self.stopping and len(self.calls) + self.open.total() < self.most:
            await self.make(self.draw(way.__name__), way)
            await asyncio.sleep(self.random.uniform(0.0, 0.06))

    async def make(self, call, way):
        self.open[call.key] += 1
        try:
            await way(call)
        except (httpx.HTTPError, ConnectionError) as error:
            call.outcome, call.message = "CUT", repr(error)
        except Exception as error:
            call.outcome, call.message = "BROKEN", repr(error)
        self.open[call.key] -= 1
        call.ended = time.monotonic()
        self.calls.append(call)
