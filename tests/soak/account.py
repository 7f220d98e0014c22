"""What must be true when everything is over: of calls, of rows, of money, of memory."""

import collections
import statistics

# How a call of a model ends that is not let down by anything else.
BY_MODEL = {
    "quick": {"OK"},
    "slow": {"OK", "LEFT"},
    "swapped": {"OK", "LEFT"},
    # An upstream that is out of order is not the caller's business, but it is no news of ours either.
    "fails": {"INTERNAL", "UNAVAILABLE"},
    "busy": {"UNAVAILABLE", "RESOURCE_EXHAUSTED"},
    "garbage": {"INTERNAL", "UNAVAILABLE"},
    "cut": {"UNAVAILABLE", "ERROR"},
    "silent": {"DEADLINE_EXCEEDED"},
}
# What these keys may be refused with besides.
BY_KEY = {"rich": set(), "poor": {"RESOURCE_EXHAUSTED"}, "limited": {"RESOURCE_EXHAUSTED"}}
# How long rows wait in memory for those that come after them, in seconds, with a database that answers.
UNWRITTEN = 2.0
# How many more descriptors a server may have at the end than when it was fresh: connections that are kept.
DESCRIPTORS = 40
# Growth of memory that counts as none, in MiB an hour. Allocators keep what they had.
SLOPE = 60.0


class Account:
    """Lines of what was found, and whether all of it is as it must be."""

    def __init__(self):
        self.figures, self.problems = {}, []

    def figure(self, name, value):
        self.figures[name] = value

    def claim(self, holds, problem):
        if not holds:
            self.problems.append(problem)

    def calls(self, calls, windows):
        """Every call was answered, or failed as one may at that time."""
        self.figure("calls", len(calls))
        self.figure("calls by protocol", dict(collections.Counter(call.protocol for call in calls)))
        self.figure("calls by kind", dict(collections.Counter(call.kind for call in calls)))
        self.figure("outcomes", dict(collections.Counter(call.outcome for call in calls)))
        self.figure("faults", dict(collections.Counter(window.name for window in windows)))
        unexpected, excused = [], collections.Counter()
        for call in calls:
            if call.outcome in BY_MODEL[call.model] | BY_KEY[call.key]:
                continue
            during = [window for window in windows if call.began <= window.ended and call.ended >= window.began]
            excuse = next((window.name for window in during if call.outcome in window.allowed), None)
            if excuse:
                excused[excuse] += 1
            else:
                unexpected.append((call, [window.name for window in during]))
        self.figure("failed because of", dict(excused))
        self.figure("failed for no reason", len(unexpected))
        for call, during in unexpected[:20]:
            words = f"{call.protocol} {call.kind} {call.model} {call.key}: {call.outcome} {call.message[:200]}"
            self.problems.append(f"failed for no reason, during {during or 'calm'}: {words}")
        rolling = [window for window in windows if window.name == "rolling restart"]
        during = [call for call in calls if any(call.began >= one.began and call.ended <= one.ended for one in rolling)]
        self.figure("calls within rolling restarts", len(during))

    def rows(self, calls, windows, rows):
        """A row once for each call that was let in, but for those that a killed server had in its memory."""
        ids = collections.Counter(identity for identity, *_ in rows)
        self.figure("usage rows", len(rows))
        self.claim(len(ids) == len(rows), f"{len(rows) - len(ids)} rows are there twice")
        kills = [window for window in windows if window.name == "kill -9"]
        lost, taken = [], 0
        for call in calls:
            if not call.id or call.id in ids:
                continue
            # A failed reply of the balancer does not say whose call it was.
            if any(
                call.ended >= kill.began - UNWRITTEN and call.began <= kill.began and call.replica in ("", kill.replica)
                for kill in kills
            ):
                taken += 1
            else:
                lost.append(call)
        self.figure("rows that a kill -9 took from memory", taken)
        self.figure("rows lost", len(lost))
        for call in lost[:20]:
            self.problems.append(f"no row for {call.id}: {call.protocol} {call.kind} {call.model} {call.key} {call.outcome} {call.message[:200]}")
        # Of the calls that are seen here, some had ended before their answer said an id.
        nameless = sum(1 for call in calls if not call.id)
        unknown = len(set(ids) - {call.id for call in calls})
        self.figure("rows of calls that were never told their id", unknown)
        self.claim(unknown <= nameless, f"{unknown} rows are of no call")

    def money(self, budgets, spent):
        """What the budgets say is what the rows say, and what dead servers held is told apart."""
        for name, budget in budgets.items():
            total, orphaned, rows = budget["spent_nanos"], budget["orphaned_nanos"], spent.get(name, 0)
            self.figure(f"budget of {name}, $", f"{total / 1e9:.6f} spent, {orphaned / 1e9:.6f} of it orphaned, rows say {rows / 1e9:.6f}")
            self.claim(rows <= total, f"{name}: rows of {rows} nano-dollars, and a budget that knows of {total}")
            self.claim(total - orphaned <= rows, f"{name}: {total} nano-dollars spent, of them {orphaned} orphaned, for rows of {rows}")
            self.claim(total <= budget["amount_nanos"], f"{name}: {total} of {budget['amount_nanos']} nano-dollars are spent")

    def memory(self, samples):
        """Of each server since its last start: what it has, and how that grows."""
        for name, taken in samples.items():
            times, sizes, descriptors = zip(*taken)
            slope = 0.0
            if times[-1] - times[0] > 1:
                slope = statistics.linear_regression(times, sizes).slope * 3600
            self.figure(f"memory of {name}, MiB", f"{sizes[0]:.1f} to {sizes[-1]:.1f}, most {max(sizes):.1f}")
            self.figure(f"growth of {name}, MiB an hour", round(slope, 1))
            self.figure(f"descriptors of {name}", f"{descriptors[0]}, most {max(descriptors)}")
            # A slope over less than some minutes says nothing.
            if times[-1] - times[0] > 300:
                self.claim(slope < SLOPE, f"{name} grows by {slope:.1f} MiB an hour")

    def rest(self, name, before, after):
        """Descriptors of a server that nobody asks any more, against when it was fresh."""
        self.figure(f"descriptors of {name} at rest", f"{before} when fresh, {after} now")
        self.claim(after <= before + DESCRIPTORS, f"{name} has {after} descriptors, {before} when fresh")
