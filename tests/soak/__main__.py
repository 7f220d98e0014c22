"""A soak and fault run of two replicas behind a balancer, and an account of it. docs/soak.md says how to read it."""

import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

import settings
import upstream
from account import Account, Row
from admin import Admin
from cluster import Broken, Cluster
from faults import Faults
from load import Callers
from watch import progress, sample

BEGAN = time.monotonic()
# How long rows and budgets may take to come to rest. What a killed server held is kept for it for 15 seconds.
SETTLES = 90
# What is kept for the next call is given up after a minute.
IDLE = 75


def say(text):
    print(f"{time.monotonic() - BEGAN:7.1f} s  {text}", flush=True)


class Tasks(list):
    """What goes on in the background. It ends before the servers do, so that none is started again."""

    def create(self, work):
        self.append(asyncio.create_task(work))
        return self[-1]

    async def end(self):
        for task in self:
            task.cancel()
        await asyncio.gather(*self, return_exceptions=True)


async def settled(cluster, admin, budgets):
    """Waits until rows and budgets do not change any more, and what dead servers held is known."""
    before, same, end = None, 0, time.monotonic() + SETTLES
    while same < 5 and time.monotonic() < end:
        states = [await asyncio.to_thread(admin.state, identity) for identity in budgets.values()]
        count = await asyncio.to_thread(cluster.query, "SELECT count(*) FROM usage")
        held = sum(budget["leased_nanos"] for budget in states)
        same = same + 1 if (count, states) == before and not held else 0
        before = (count, states)
        await asyncio.sleep(1)
    return same == 5


async def breaking(callers, faults, tasks):
    """All faults, for as long as callers go on. Why it ended before its time, if it did."""
    start = time.monotonic()
    restarts, until = start + settings.RESTARTS * settings.SECONDS, start + settings.SECONDS
    calling, breaks = tasks.create(callers.run(settings.CALLERS)), tasks.create(faults.run(restarts, until))
    await asyncio.wait([calling, breaks], timeout=settings.LIMIT, return_when=asyncio.FIRST_COMPLETED)
    if calling.done() and not breaks.done():
        # The fault that has begun is brought to its end.
        faults.stopping = True
        await asyncio.wait([breaks], timeout=120)
    callers.stopping = True
    say("no more faults; the last calls end")
    # Every call has a limit of its own.
    await asyncio.wait([calling], timeout=120)
    named = {"faults": breaks, "calls": calling}
    ended = [f"{name} do not end" for name, task in named.items() if not task.done()]
    ended += [f"{name}: {task.exception()!r}" for name, task in named.items() if task.done() and task.exception()]
    breaks.cancel()
    calling.cancel()
    if not faults.complete:
        ended.append("not every fault has happened")
    return ended


async def soak(cluster, tasks):
    say("starting two replicas on one Postgres behind a balancer")
    admin = Admin(cluster.replicas[0].port)
    secrets, ids, budgets = await cluster.start(admin.make)
    fresh = {replica.name: replica.descriptors() for replica in cluster.replicas}

    async def leased(name):
        return (await asyncio.to_thread(admin.state, budgets[name]))["leased_nanos"]

    callers = Callers(cluster.port, secrets, settings.SEED, settings.CALLS)
    faults = Faults(cluster, callers, leased, settings.HOLD, settings.CALM, say)
    samples = {}
    every = min(15, max(5, settings.SECONDS / 12))
    watching = [tasks.create(sample(cluster.replicas, samples)), tasks.create(progress(callers, samples, say, every))]
    say(f"{3 * settings.CALLERS} callers; faults for {settings.SECONDS:.0f} s, seed {settings.SEED}")
    ended = await breaking(callers, faults, tasks)
    for task in watching:
        task.cancel()

    account = Account(callers.calls, faults.windows)
    account.figure("seed", settings.SEED)
    account.figure("seconds", round(time.monotonic() - BEGAN))
    account.figure("calls", len(callers.calls))
    account.problems += ended + faults.problems
    try:
        await close(account, cluster, admin, faults, ids, budgets)
        say("waiting for idle connections to go")
        await asyncio.sleep(IDLE)
        await asyncio.to_thread(account.metrics, cluster.replicas)
        account.memory(samples, {replica.name: replica.memory() for replica in cluster.replicas})
        for replica in cluster.replicas:
            account.rest(replica.name, fresh[replica.name], replica.descriptors())
        await asyncio.to_thread(account.logs, cluster.replicas)
    except Exception as error:
        # What is known so far is worth telling.
        account.problems.append(f"the account cannot be finished: {error!r}")
    return account


async def close(account, cluster, admin, faults, ids, budgets):
    """Everything that is said of calls, rows and money."""
    # The proxies live in this thread's loop: nothing here may take long.
    await asyncio.to_thread(account.calls)
    await asyncio.to_thread(account.aliases, faults.aliases)
    say("waiting for rows and budgets to come to rest")
    account.claim(await settled(cluster, admin, budgets), f"rows and budgets do not come to rest within {SETTLES} s")
    names = {identity: name for name, identity in ids.items()}
    rows = [Row.of(columns, names) for columns in await asyncio.to_thread(cluster.query, Row.STATEMENT)]
    await asyncio.to_thread(account.rows, rows)
    states = {name: await asyncio.to_thread(admin.state, identity) for name, identity in budgets.items()}
    account.money(states, rows)
    daily = await asyncio.to_thread(cluster.query, "SELECT sum(calls), sum(cost) FROM usage_daily")
    account.sums(rows, tuple(int(column) for column in daily[0]))


def report(account):
    balances = not account.problems
    settings.REPORT.parent.mkdir(parents=True, exist_ok=True)
    whole = {"balances": balances, "figures": account.figures, "problems": account.problems}
    settings.REPORT.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"\n{'-' * 20} account (also in {settings.REPORT})")
    for name, value in account.figures.items():
        print(f"{name:45} {value}")
    for problem in account.problems:
        print(f"PROBLEM: {problem}")
    print("the account balances" if balances else f"the account does not balance: {len(account.problems)} problems")
    return 0 if balances else 1


async def main():
    # As Ctrl-C does: everything that was started is ended.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    with tempfile.TemporaryDirectory(prefix="sabir-soak-") as folder:
        cluster, tasks = Cluster(Path(folder)), Tasks()
        provider = upstream.start(cluster.upstream_port)
        try:
            return report(await soak(cluster, tasks))
        except Broken as broken:
            print(f"soak: {broken}", file=sys.stderr)
            return 1
        except asyncio.CancelledError:
            print("soak: asked to end", file=sys.stderr)
            return 1
        finally:
            await tasks.end()
            await cluster.stop()
            provider.kill()
            if settings.LOGS:
                Path(settings.LOGS).mkdir(parents=True, exist_ok=True)
                for log in Path(folder).glob("*.log"):
                    Path(settings.LOGS, log.name).write_bytes(log.read_bytes())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
