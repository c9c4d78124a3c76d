"""One peer in a process of its own: does rounds when told to, and reports times and memory.

Reads a line of JSON for each round and answers with one; the harness decides
whose turn it is, so no two peers work at a time.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import values
from benchmarks.cases import Case, named
from benchmarks.peers import BLIND, Peer, peer

Sample = dict[str, float]


def main() -> None:
    """Work for the case, peer, place and length given on the command line."""
    case, name, root, length = named(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    try:
        work = _Work(case, name, root, length)
        answer: dict[str, Any] = work.description()
    except Exception as exc:  # noqa: BLE001 - reported, and then there is nothing more to do
        answer = {"error": _reason(exc)}
    print(json.dumps(answer), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = work.round(**json.loads(line))
        except Exception as exc:  # noqa: BLE001 - a peer that fails is reported, not dropped
            answer = {"error": _reason(exc)}
        print(json.dumps(answer), file=answers, flush=True)


class _Work:
    """A value to be stored, and a place that is open."""

    def __init__(self, case: Case, name: str, root: str, length: int) -> None:
        self._case = case
        self._peer: Peer = peer(name)
        self._root = root
        value = case.make(length)
        self._bytes = values.size_of(value)
        self._value = values.payload(self._bytes) if name in BLIND else value
        del value
        self._handle = self._peer.open_at(root)
        self._warm_up(case.make(case.tiny), name)

    def description(self) -> dict[str, Any]:
        """What the tables say about the peer and the value."""
        started = time.perf_counter()
        values.touch(self._value)
        return {
            "label": self._peer.label,
            "guarantees": self._peer.guarantees,
            "bytes": self._bytes,
            "touch_seconds": time.perf_counter() - started,
        }

    def round(self, number: int, check: bool) -> dict[str, Any]:
        """Put, get, get and touch, delete; the result is compared, untimed, if *check*."""
        keys = [f"o{number}-{i}" for i in range(self._case.count)]
        put, get, handle, value = self._peer.put, self._peer.get, self._handle, self._value
        before = _stored(self._root)
        samples = {"put": self._measured(lambda key: put(handle, key, value), keys)}
        stored = _stored(self._root) - before
        samples["get"] = self._measured(lambda key: get(handle, key), keys)
        if self._case.touch:
            samples["get_touch"] = self._measured(lambda key: values.touch(get(handle, key)), keys)
        different = self._difference(keys) if check else None
        for key in keys:
            self._peer.delete(handle, key)
        return {"samples": samples, "stored_bytes": stored, "different": different}

    def _measured(self, do: Callable[[str], Any], keys: list[str]) -> Sample:
        """Time *do* per key, and how far the process grew above what it was before."""
        gc.collect()
        _claim(2 * self._bytes)
        kept = None
        before = _reset_peak()
        started = time.perf_counter()
        for key in keys:
            kept = do(key)  # held: the peak counts the last result, its release is not timed
        seconds = time.perf_counter() - started
        peak = _memory("VmHWM") - before
        del kept
        return {"seconds": seconds / len(keys), "peak_bytes": max(0, peak)}

    def _difference(self, keys: list[str]) -> str | None:
        try:
            for key in keys:
                values.equal(self._value, self._peer.get(self._handle, key))
        except AssertionError as exc:
            return _reason(exc)
        return None

    def _warm_up(self, tiny: Any, name: str) -> None:
        """Load what the peer loads late, so that neither time nor memory of it is counted."""
        tiny = values.payload(values.size_of(tiny)) if name in BLIND else tiny
        self._peer.put(self._handle, "warm-up", tiny)
        values.touch(self._peer.get(self._handle, "warm-up"))
        self._peer.delete(self._handle, "warm-up")


def _stored(root: str) -> int:
    """Bytes in the files of a place; 0 where that cannot be known."""
    files = Path(root).rglob("*") if "://" not in root else ()
    return sum(path.stat().st_size for path in files if path.is_file())


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
