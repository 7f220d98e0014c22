"""What a run is told by its surroundings. A short run has shorter faults, so that every one of them still happens."""

import os
from pathlib import Path


def number(name, usual):
    return float(os.environ.get(name, usual))


# How long faults go on. The first cycle of them is finished in any case.
SECONDS = number("SOAK_SECONDS", 1200)
# How many calls are made at most.
CALLS = int(number("SOAK_CALLS", 400_000))
# Callers of each of the three protocols.
CALLERS = int(number("SOAK_CALLERS", 8))
# How long a fault lasts, and how long none does after it.
HOLD = number("SOAK_HOLD", min(8.0, max(2.5, SECONDS / 40)))
CALM = number("SOAK_CALM", min(6.0, max(1.0, SECONDS / 80)))
# Replicas are restarted and killed in this part of the run, and in the first cycle anyway. After that they live on, so
# that their memory can be judged.
RESTARTS = 0.5
# Whatever happens, the run is over so long after its faults.
LIMIT = SECONDS + 600

SEED = int(os.environ.get("SOAK_SEED", 20260101))
REPORT = Path(os.environ.get("SOAK_REPORT", "target/soak.json"))
# Where the logs of the replicas and of the balancer are kept; otherwise they go with the run.
LOGS = os.environ.get("SOAK_LOGS")
