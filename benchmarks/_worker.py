"""A peer's process: does a step when told to, and reports time and memory.

Reads a line of JSON for each step and answers with one; the harness decides
whose turn it is, so no two peers work at a time. Where nobody looks at figures, one
process is all the peers.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import values
from benchmarks._helpers import Helper, made
from benchmarks._steps import HELPERS, STEPS, Bench
from benchmarks.cases import named
from benchmarks.peers import installed, peer

_CLAIM = 4 * 10**9  # bytes; more would push out the files of the page cache


def main() -> None:
    """Answer until the harness has no more: a task first, then its steps."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    works: dict[str, _Work] = {}
    helpers: list[Helper] = []
    for line in sys.stdin:
        turn = json.loads(line)
        try:
            if "task" in turn:
                task = turn["task"]
                works[task["peer"]] = _Work(task, helpers)
                answer = works[task["peer"]].description()
                gc.collect()
                gc.freeze()  # the collections before measurements need not look at libraries
            else:
                answer = works[turn.pop("peer")].do(**turn)
        except Exception as exc:  # noqa: BLE001 - a peer that fails is reported, not dropped
            answer = {"error": _reason(exc)}
        print(json.dumps(answer), file=answers, flush=True)
    for helper in helpers:
        helper.close()
    answers.close()
    os._exit(0)  # some peers leave threads that never end


class _Work:
    """A value to be stored, and a place that is open."""

    def __init__(self, task: dict[str, Any], helpers: list[Helper]) -> None:
        self._name = task["peer"]
        os.environ.update(task["environment"])
        module = peer(self._name)
        value, self._bytes = made(task["case"], self._name, task["length"])
        handle = module.open_at(task["root"])
        self._bench = Bench(self._name, module, handle, value, task["filled"])
        self._warm_up(task["case"], "names" in task["steps"])
        if task["fill"]:
            keys = [f"filled-{i:06}" for i in range(task["filled"])]
            if keys:
                STEPS["put_many"](self._bench, keys)
            if task["runs"]:
                module.fill_runs(handle, task["runs"], value)
        if HELPERS.intersection(task["steps"]):
            count = task["processes"] if "eight_put" in task["steps"] else 1
            helpers += [Helper() for _ in range(count - len(helpers))]
            self._bench.helpers = helpers[:count]
            for helper in self._bench.helpers:
                helper.prepare(task)

    def description(self) -> dict[str, Any]:
        """What the tables say about the peer and the value."""
        started = time.perf_counter()
        values.touch(self._bench.value)
        return {
            "label": self._bench.peer.label,
            "guarantees": self._bench.peer.guarantees,
            "lacks": self._bench.peer.lacks,
            "versions": installed(self._name),
            "bytes": self._bytes,
            "touch_seconds": time.perf_counter() - started,
        }

    def do(self, step: str, keys: list[str]) -> dict[str, Any]:
        """Do a step, timed, or one of the two that are not."""
        if step == "check":
            return {"different": self._difference(keys)}
        if step == "clear":
            for key in keys:
                self._bench.peer.delete(self._bench.handle, key)
            return {}
        return self._measured(step, keys)

    def _measured(self, step: str, keys: list[str]) -> dict[str, float]:
        """Time a step, and how far the process grew above what it was before."""
        gc.collect()
        _claim(min(2 * self._bytes, _CLAIM))
        before = _reset_peak()
        worked, started = time.process_time(), time.perf_counter()
        kept = STEPS[step](self._bench, keys)
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        peak = _memory("VmHWM") - before
        if step in HELPERS:
            worked += kept
        del kept
        return {"seconds": seconds, "cpu_seconds": worked, "peak_bytes": max(0, peak)}

    def _difference(self, keys: list[str]) -> str | None:
        try:
            for key in keys:
                values.equal(self._bench.value, self._bench.peer.get(self._bench.handle, key))
        except AssertionError as exc:
            return _reason(exc)
        return None

    def _warm_up(self, case: str, names: bool) -> None:
        """Load what the peer loads late, so that neither time nor memory of it is counted."""
        tiny, _ = made(case, self._name, named(case).tiny)
        module, handle = self._bench.peer, self._bench.handle
        module.put(handle, "warm-up", tiny)
        values.touch(module.get(handle, "warm-up"))
        if names:
            module.names(handle)
        module.delete(handle, "warm-up")


def _claim(size: int) -> None:
    """Have the machine make *size* bytes of memory ready, and give them back at once.

    A virtual machine may return free memory to its host, and getting it again takes
    longer than most of what is measured: whoever came first after a pause would pay.
    """
    np.ones(size, np.uint8)


def _reset_peak() -> int:
    """Make the kernel forget the peak so far; gives the present size, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _reason(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}".strip()[:1000]


if __name__ == "__main__":
    main()
