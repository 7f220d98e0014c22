"""Claims of one script: functions that are run in order. What held is printed; the exit code says whether all did."""

import asyncio
import inspect
import sys
import traceback

_claims = []


def claim(function):
    """Makes a claim of a function, plain or async."""
    _claims.append(function)
    return function


def run():
    """Checks every claim, also after one that did not hold."""
    broken = 0
    for function in _claims:
        name = function.__name__.replace("_", " ")
        try:
            outcome = function()
            if inspect.iscoroutine(outcome):
                asyncio.run(outcome)
            print("held:  ", name, flush=True)
        except Exception:
            broken += 1
            print("broken:", name, flush=True)
            traceback.print_exc()
    sys.exit(1 if broken or not _claims else 0)


def raises(kind, action):
    """The exception of this very kind that the action must end with."""
    try:
        outcome = action()
    except Exception as error:
        assert type(error) is kind, f"expected {kind.__name__}, got {error!r}"
        return error
    raise AssertionError(f"expected {kind.__name__}, got {outcome!r}")
