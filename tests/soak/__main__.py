"""A soak and fault run of two replicas behind a balancer, and an account of it. See docs/soak.md.

SOAK_SECONDS  how long faults go on (default 1200); the cycle that has begun is finished
SOAK_CALLERS  callers of each of the three protocols (default 8)
SOAK_HOLD     how long a fault lasts, in seconds (default 8); SOAK_CALM how long none does (default 6)
SOAK_SEED     draws other calls
SOAK_SABIR    the program (default target/release/sabir)
"""

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import upstream
from account import Account
from cluster import Cluster
from faults import Faults
from load import Callers

SECONDS = float(os.environ.get("SOAK_SECONDS", 1200))
CALLERS = int(os.environ.get("SOAK_CALLERS", 8))
HOLD, CALM = float(os.environ.get("SOAK_HOLD", 8)), float(os.environ.get("SOAK_CALM", 6))
SEED = int(os.environ.get("SOAK_SEED", 20260101))
REPORT = Path(os.environ.get("SOAK_REPORT", "target/soak.json"))
BEGAN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGAN:7.1f} s  {text}", flush=True)


class Admin:
    """The administrator's calls, to the first replica."""

    def __init__(self, cluster, key):
        self.base, self.key = f"http://127.0.0.1:{cluster.replicas[0].port}/v1/admin", key

    def ask(self, path, message=None):
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        body = None if message is None else json.dumps(message).encode()
        with urllib.request.urlopen(urllib.request.Request(self.base + path, body, headers), timeout=30) as answer:
            return json.load(answer)

    def state(self, budget):
        """The figures of a budget. Whole numbers of 64 bits may be texts in the JSON of protobuf."""
        told = self.ask(f"/budgets/{budget}")
        figures = {name: int(told["state"].get(name, 0)) for name in ("spent_nanos", "orphaned_nanos", "leased_nanos")}
        return {"amount_nanos": int(told["amount_nanos"]), **figures}

    def make(self):
        """Keys that differ in what they may: their secrets, their ids, and the budgets of two of them."""
        secrets, ids, budgets = {}, {}, {}
        for name in ("rich", "poor", "limited"):
            made = self.ask("/keys", {"name": name, "scopes": ["chat"]})
            secrets[name], ids[name] = made["secret"], made["key"]["id"]
        for name, nanos in (("rich", 10**12), ("poor", 5_000_000)):
            budget = {"subject_kind": "key", "subject": ids[name], "amount_nanos": nanos, "period": "month"}
            budgets[name] = self.ask("/budgets", budget)["id"]
        limit = {"subject_kind": "key", "subject": ids["limited"], "requests_per_minute": 120, "concurrent_requests": 4}
        self.ask("/limits", limit)
        return secrets, ids, budgets


async def sample(cluster, samples):
    """Memory and descriptors of each server every other second, anew with each start."""
    known = {}
    while True:
        for replica in cluster.replicas:
            try:
                taken = (time.monotonic(), replica.memory(), replica.descriptors())
            except OSError:
                continue
            if known.get(replica.name) != replica.process.pid:
                known[replica.name] = replica.process.pid
                samples[replica.name] = []
            samples[replica.name].append(taken)
        await asyncio.sleep(2)


async def progress(callers):
    while True:
        await asyncio.sleep(15)
        failed = sum(call.outcome not in ("OK", "LEFT") for call in callers.calls)
        say(f"{len(callers.calls)} calls, {failed} of them failed as they should or may")


async def settled(cluster, admin, budgets):
    """Waits until rows and budgets do not change any more, and what dead servers held is known."""
    before, same = None, 0
    for _ in range(60):
        state = [int(cluster.query("SELECT count(*) FROM usage")[0][0])]
        states = [await asyncio.to_thread(admin.state, identity) for identity in budgets.values()]
        state += states
        held = sum(budget["leased_nanos"] for budget in states)
        same = same + 1 if state == before and not held else 0
        if same == 5:
            return
        before = state
        await asyncio.sleep(1)
    raise SystemExit(f"soak: rows and budgets do not come to rest within a minute of the last call: {before}")


def lost(cluster):
    return sum(replica.metric("sabir_usage_rows_lost_total") for replica in cluster.replicas)


async def main():
    with tempfile.TemporaryDirectory(prefix="sabir-soak-") as folder:
        cluster = Cluster(Path(folder))
        provider = upstream.start(cluster.upstream_port)
        try:
            account = await soak(cluster)
        finally:
            await cluster.stop()
            provider.kill()
            if logs := os.environ.get("SOAK_LOGS"):
                for log in Path(folder).glob("*.log"):
                    Path(logs, log.name).write_text(log.read_text())
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({"figures": account.figures, "problems": account.problems}, indent=2) + "\n")
    print(f"\n{'-' * 20} account (also in {REPORT})")
    for name, value in account.figures.items():
        print(f"{name:45} {value}")
    for problem in account.problems:
        print(f"PROBLEM: {problem}")
    print("the account balances" if not account.problems else f"the account does not balance: {len(account.problems)} problems")
    return 1 if account.problems else 0


async def soak(cluster):
    say("starting two replicas on one Postgres behind Envoy")
    admin = Admin(cluster, await cluster.start())
    secrets, ids, budgets = await asyncio.to_thread(admin.make)
    fresh = {replica.name: replica.descriptors() for replica in cluster.replicas}
    callers = Callers(cluster.port, secrets, SEED)
    samples = {}
    watching = [asyncio.create_task(sample(cluster, samples)), asyncio.create_task(progress(callers))]
    calling = asyncio.create_task(callers.run(CALLERS))
    say(f"{3 * CALLERS} callers; faults for {SECONDS:.0f} s")
    await asyncio.sleep(CALM)
    faults = Faults(cluster, HOLD, CALM, say)
    await faults.run(SECONDS)
    say("no more faults; the last calls end")
    callers.stopping = True
    await calling
    for task in watching:
        task.cancel()
    await settled(cluster, admin, budgets)

    account = Account()
    account.figure("seconds", round(time.monotonic() - BEGAN))
    account.calls(callers.calls, faults.windows)
    # Calls of the administrator have rows in another log.
    rows = cluster.query("SELECT id, key_id, cost FROM usage")
    account.rows(callers.calls, faults.windows, rows)
    names = {identity: name for name, identity in ids.items()}
    spent = {}
    for _, key, cost in rows:
        spent[names.get(key, key)] = spent.get(names.get(key, key), 0) + int(cost)
    account.money({name: await asyncio.to_thread(admin.state, identity) for name, identity in budgets.items()}, spent)
    account.claim(lost(cluster) == 0, f"the servers say that {lost(cluster):.0f} rows are lost")
    account.memory(samples)
    # What is kept for the next call is given up after a minute.
    say("waiting for idle connections to go")
    await asyncio.sleep(75)
    for replica in cluster.replicas:
        account.rest(replica.name, fresh[replica.name], replica.descriptors())
    return account


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
