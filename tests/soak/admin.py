"""The administrator's calls: keys, their limits and their budgets."""

import json
import urllib.request

# A budget that is never spent, and one that soon is.
AMPLE, SCARCE = 10**12, 5_000_000
# Keys and the amounts of their budgets in nano-dollars. Nobody uses `careful` while a replica is killed, so that its
# budget has to be exact.
BUDGETS = {"rich": AMPLE, "poor": SCARCE, "careful": AMPLE}


class Admin:
    """Asks the first replica, past the balancer."""

    def __init__(self, port):
        self.base, self.key = f"http://127.0.0.1:{port}/v1/admin", None

    def ask(self, path, message=None):
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        body = None if message is None else json.dumps(message).encode()
        with urllib.request.urlopen(urllib.request.Request(self.base + path, body, headers), timeout=30) as answer:
            return json.load(answer)

    def make(self, key):
        """Makes the keys with this one. Their secrets, their ids, and the ids of their budgets, by name."""
        self.key = key
        secrets, ids, budgets = {}, {}, {}
        for name in [*BUDGETS, "limited"]:
            made = self.ask("/keys", {"name": name, "scopes": ["chat"]})
            secrets[name], ids[name] = made["secret"], made["key"]["id"]
        for name, nanos in BUDGETS.items():
            budget = {"subject_kind": "key", "subject": ids[name], "amount_nanos": nanos, "period": "month"}
            budgets[name] = self.ask("/budgets", budget)["id"]
        limit = {"subject_kind": "key", "subject": ids["limited"], "requests_per_minute": 120, "concurrent_requests": 4}
        self.ask("/limits", limit)
        return secrets, ids, budgets

    def state(self, budget):
        """The figures of a budget. Whole numbers of 64 bits may be texts in the JSON of protobuf."""
        told = self.ask(f"/budgets/{budget}")
        figures = {name: int(told["state"].get(name, 0)) for name in ("spent_nanos", "orphaned_nanos", "leased_nanos")}
        return {"amount_nanos": int(told["amount_nanos"]), **figures}
