"""What must be true when everything is over: of calls, of rows, of money, of memory."""

import collections
import dataclasses
import statistics

# How a call of a model ends that is not let down by anything else.
BY_MODEL = {
    "quick": {"OK"},
    "slow": {"OK", "LEFT"},
    "swapped": {"OK"},
    # What is wrong with an upstream is told as what it is; in a stream of events as an event of its own.
    "fails": {"INTERNAL"},
    "busy": {"RESOURCE_EXHAUSTED"},
    "garbage": {"INTERNAL"},
    "cut": {"UNAVAILABLE", "ERROR"},
    "stalls": {"UNAVAILABLE", "ERROR"},
    "scrambled": {"INTERNAL", "ERROR"},
    "silent": {"DEADLINE_EXCEEDED"},
}
# What these keys may be refused with besides.
BY_KEY = {"poor": {"RESOURCE_EXHAUSTED"}, "limited": {"RESOURCE_EXHAUSTED"}}
# Tokens of an answer that came to its end, in and out, and what they cost in nano-dollars.
TOKENS, PRICE = (11, 7), 25_000
# How long rows wait in memory for those that come after them, in seconds, with a database that answers.
UNWRITTEN = 2.0
# How long spending goes unreported at most, likewise.
UNREPORTED = 3.0
# How many more descriptors a server may have at the end than when it was fresh: ten connections to the database, and
# some of callers and of the balancer.
DESCRIPTORS = 16
# Growth of memory that counts as none, in MiB an hour, and how long it has to be looked at to say so, without the
# time in which a new server finds its size.
SLOPE, WARM, ENOUGH = 60.0, 60.0, 300.0
# Events that say that something is lost.
NEVER = ["usage-rows-lost", "usage-row-refused", "usage-row-late", "budgets-unreported", "accept-failed"]
# Metrics that are 0 when nobody calls, if nothing is lost.
NOTHING = [
    "sabir_usage_rows_lost_total",
    "sabir_usage_rows_pending",
    "sabir_requests_in_flight",
    "sabir_open_streams",
]
# What of a kind is told one by one.
MANY = 20


@dataclasses.dataclass(slots=True)
class Row:
    """What the usage table says of a call."""

    id: str
    key: str
    model: str
    cost: int
    # The number of its status, how it ended, and its tokens.
    code: int
    outcome: str
    tokens: tuple
    # In seconds since 1970.
    ended: float

    STATEMENT = """SELECT id, coalesce(key_id::text, ''), model_asked, cost, grpc_code,
        (SELECT name FROM usage_code WHERE kind = 'outcome' AND code = outcome), prompt_tokens, completion_tokens,
        (started_at + latency) / 1e6 FROM usage"""

    @classmethod
    def of(cls, columns, keys):
        identity, key, model, cost, code, outcome, prompt, completion, ended = columns
        tokens = (int(prompt), int(completion))
        return cls(identity, keys.get(key, key), model, int(cost), int(code), outcome, tokens, float(ended))


def overlap(call, window):
    return call.began <= window.ended and call.ended >= window.began


class Account:
    """What was found, and whether all of it is as it must be."""

    def __init__(self, calls, windows):
        self.windows, self.figures, self.problems = windows, {}, []
        self.all = calls

    def figure(self, name, value):
        self.figures[name] = value

    def claim(self, holds, problem):
        if not holds:
            self.problems.append(problem)

    def found(self, wrong, claim, name):
        """Each of these is a problem; the first are told."""
        self.figure(claim, len(wrong))
        self.problems += [f"{claim}: {name(one)}" for one in wrong[:MANY]]
        self.claim(len(wrong) <= MANY, f"{claim}: {len(wrong) - MANY} more")

    def during(self, call):
        return [window for window in self.windows if overlap(call, window)]

    def calls(self):
        """Every call was answered, or failed as one may at that time."""
        for name in ("protocol", "kind", "key"):
            self.figure(f"calls by {name}", dict(collections.Counter(getattr(call, name) for call in self.all)))
        self.figure("outcomes", dict(collections.Counter(call.outcome for call in self.all)))
        self.figure("faults", dict(collections.Counter(window.name for window in self.windows)))
        unexpected, excused = [], collections.Counter()
        for call in self.all:
            if call.outcome in BY_MODEL[call.model] | BY_KEY.get(call.key, set()):
                continue
            excuse = next((window.name for window in self.during(call) if call.outcome in window.allowed), None)
            if excuse:
                excused[f"{excuse}: {call.outcome}"] += 1
            else:
                unexpected.append(call)
        self.figure("calls that failed because of", dict(excused))
        self.found(unexpected, "calls that failed for no reason", self.tell)
        rolling = [window for window in self.windows if window.name == "rolling restart"]
        within = [call for call in self.all if any(overlap(call, window) for window in rolling)]
        self.figure("calls within rolling restarts", len(within))
        self.claim(within, "no call was made within a rolling restart")

    def tell(self, call):
        during = [window.name for window in self.during(call)] or "calm"
        asked = f"{call.protocol} {call.kind} {call.model} {call.key}, {during}"
        return f"{asked}: {call.outcome} {call.id} {call.message[:200]}"

    def aliases(self, aliases):
        """A configuration that all replicas had read counted for every call."""
        told = [call for call in self.all if call.model == "swapped" and call.used]
        wrong = []
        for one in aliases:
            within = [call for call in told if one.began < call.began and call.ended < one.ended]
            wrong += [call for call in within if not call.used.endswith(one.model)]
        self.figure("calls of an alias that changes", len(told))
        self.claim(told, "no call of the alias was told its model")
        self.found(wrong, "calls that an old configuration answered", lambda call: f"{call.used} {self.tell(call)}")

    def rows(self, rows):
        """A row once for each call that was let in, but for those that a killed server had in its memory."""
        by_id = {row.id: row for row in rows}
        self.figure("usage rows", len(rows))
        self.claim(len(by_id) == len(rows), f"{len(rows) - len(by_id)} rows are there twice")
        kills = [window for window in self.windows if window.replica]
        self.lost_by_key = collections.Counter()
        taken, lost, wrong = 0, [], []
        for call in self.all:
            if row := by_id.get(call.id):
                if call.outcome == "OK" and (row.code, row.tokens, row.cost) != (0, TOKENS, PRICE):
                    wrong.append((call, row))
                if (call.key, call.model) != (row.key, row.model):
                    wrong.append((call, row))
                continue
            # A failed reply of the balancer does not say whose call it was.
            killed = any(
                call.ended >= kill.began - UNWRITTEN and call.began <= kill.began and call.replica in ("", kill.replica)
                for kill in kills
            )
            if killed:
                # Those that were told no id may have had a row or none.
                taken += bool(call.id)
                self.lost_by_key[call.key] += 1
            elif call.id or call.outcome == "OK":
                lost.append(call)
        self.figure("rows that a kill -9 took from memory", taken)
        self.found(lost, "rows that are missing", self.tell)
        self.found(wrong, "rows that say something else", lambda pair: f"{self.tell(pair[0])}: {pair[1]}")
        # Some calls had ended before their answer told an id.
        known = {call.id for call in self.all}
        nameless = collections.Counter((call.key, call.model) for call in self.all if not call.id)
        unknown = collections.Counter((row.key, row.model) for row in rows if row.id not in known)
        self.figure("rows of calls that were never told their id", unknown.total())
        self.claim(unknown <= nameless, f"rows of no call: {dict(unknown - nameless)}")

    def money(self, budgets, rows):
        """A budget has spent what the rows of its key cost. What a killed server had not reported is orphaned."""
        free = [call for call in self.all if call.key in budgets and call.outcome == "OK" and not call.budgeted]
        self.found(free, "answers that no budget was asked for", self.tell)
        kills = [window for window in self.windows if window.replica]
        dearest = max((row.cost for row in rows), default=0)
        for name, budget in budgets.items():
            own = [row for row in rows if row.key == name]
            spent, orphaned, cost = budget["spent_nanos"], budget["orphaned_nanos"], sum(row.cost for row in own)
            told = f"{spent} nano-dollars spent, {orphaned} of them orphaned, rows of {cost}"
            self.figure(f"budget of {name}", told)
            self.claim(own, f"budget of {name}: no row")
            self.claim(spent <= budget["amount_nanos"], f"budget of {name}: {told}, of {budget['amount_nanos']}")
            self.claim(not budget["leased_nanos"], f"budget of {name}: {budget['leased_nanos']} are still held")
            # What was written and not reported, and what was reported and not written, when a server was killed.
            near = sum(row.cost for row in own if any(kill.at - UNREPORTED <= row.ended <= kill.at for kill in kills))
            gone = self.lost_by_key[name] * dearest
            if name == "careful":
                exact = not orphaned and spent == cost
                self.claim(exact, f"budget of {name}: {told}, and no server was killed that had any of it")
            else:
                exact = spent - orphaned - gone <= cost <= min(spent, spent - orphaned + near)
                apart = f"near to kills rows of {near} were written, at most {gone} not"
                self.claim(exact, f"budget of {name}: {told}; {apart}")

    def sums(self, rows, daily):
        """The sums by day are those of the rows."""
        count, cost, sum_of_rows = *daily, sum(row.cost for row in rows)
        self.claim(count == len(rows), f"the sums by day know of {count} calls, and there are {len(rows)} rows")
        self.claim(cost == sum_of_rows, f"the sums by day are {cost}, the rows cost {sum_of_rows}")

    def logs(self, replicas):
        """Nothing in the logs says that something is lost or broken."""
        for replica in replicas:
            events = replica.said.look()
            for event in NEVER:
                self.claim(not events[event], f"{replica.name} says {event} {events[event]} times")
            # Some configurations could not be used; that was so meant, and is looked at there.
            wrong = [line for event, line in replica.said.errors if event != "config-unusable"]
            self.found(wrong, f"errors in the log of {replica.name}", lambda line: line[:300])

    def metrics(self, replicas):
        """Servers that nobody asks have nothing open and nothing lost."""
        for replica in replicas:
            for name in NOTHING:
                value = replica.metric(name)
                self.claim(value == 0, f"{name} of {replica.name} is {value}")

    def memory(self, samples, rest):
        """Of each server since its last start: what it has, how that grows, and what is left of it at rest."""
        for name, taken in samples.items():
            times, sizes, descriptors = zip(*taken)
            told = f"{sizes[0]:.1f} to {sizes[-1]:.1f}, most {max(sizes):.1f}, at rest {rest[name]:.1f}"
            self.figure(f"memory of {name}, MiB", told)
            self.figure(f"descriptors of {name} under load, most", max(descriptors))
            warm = [(time, size) for time, size, _ in taken if time - times[0] > WARM]
            seconds = warm[-1][0] - warm[0][0] if warm else 0
            if seconds < ENOUGH:
                self.figure(f"growth of {name}, MiB an hour", f"not judged: {seconds:.0f} s of {ENOUGH:.0f}")
                continue
            slope = statistics.linear_regression(*zip(*warm)).slope * 3600
            self.figure(f"growth of {name}, MiB an hour", f"{slope:.1f} over {seconds:.0f} s")
            self.claim(slope < SLOPE, f"{name} grows by {slope:.1f} MiB an hour")
            usual = statistics.median(size for _, size in warm)
            self.claim(rest[name] <= usual * 1.1, f"{name} has {rest[name]:.1f} MiB at rest, {usual:.1f} under load")

    def rest(self, name, before, after):
        """Descriptors of a server that nobody asks any more, against when it was fresh."""
        self.figure(f"descriptors of {name} at rest", f"{before} when fresh, {after} now")
        self.claim(after <= before + DESCRIPTORS, f"{name} has {after} descriptors, {before} when fresh")
