"""What it costs that a context is found in an orchestrator's run, and not entered.

``python -m benchmarks resolved``; `make integrations` says the same of each real orchestrator. Here
one of three lines stands for it, so that nothing but our own code is measured. Both sides take
turns in one process, by the processor's time.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

from runstore import object_store, run_context
from runstore.context import get_run_context, resolvers
from runstore.context.resolvers import Found, Here

__all__ = ["main"]

_ROUNDS, _CALLS = 15, 2000


def main(arguments: list[str]) -> int:
    """Print the cost of a call in both, and the difference."""
    rounds, calls = (3, 50) if "--quick" in arguments else (_ROUNDS, _CALLS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNSTORE_URL"] = folder
        found = Found(workflow="flow", run="flow.1", uid="1", stage="build")
        _bring(SimpleNamespace(MODULE=__name__, here=lambda: Here("1", lambda: found)))
        object_store.put("x", 1)
        print(f"{'':18} {'found':>8} {'entered':>8} {'more':>8}   µs of CPU, least of {rounds}")
        for name, call in (
            ("get_run_context()", get_run_context),
            ("exists", lambda: object_store.exists("x")),
            ("put", lambda: object_store.put("x", 1)),
        ):
            times: dict[str, list[float]] = {"found": [], "entered": []}
            for _ in range(rounds):
                times["found"].append(_cost(call, calls))
                with run_context(run="flow.1", store=folder):
                    times["entered"].append(_cost(call, calls))
            here, there = min(times["found"]), min(times["entered"])
            print(f"{name:18} {here:8.2f} {there:8.2f} {here - there:8.2f}")
    return 0


def _bring(resolver: Any) -> None:
    """Let a resolver be there as if another package had brought it."""
    entry = EntryPoint("small", f"{__name__}:small", "runstore.contexts")
    setattr(sys.modules[__name__], "small", resolver)  # noqa: B010 - what the entry point loads
    resolvers._brought = cache(lambda: {"small": entry})
    resolvers._brought()


def _cost(call: Callable[[], object], calls: int) -> float:
    begun = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begun) / calls * 1e6
