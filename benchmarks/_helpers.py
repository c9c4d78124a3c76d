"""A further process of a peer: for hand-over, and for several at once on one place."""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import values
from benchmarks.peers import BLIND, peer

__all__ = ["Helper", "made"]


class Helper:
    """A process that has peers open and values ready, and does what it is asked to."""

    def __init__(self) -> None:
        # Spawned, not forked: neither runstore's clients nor others' are to be shared.
        context = multiprocessing.get_context("spawn")
        self._end, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end,), daemon=True)
        self._process.start()
        end.close()

    def prepare(self, task: dict[str, Any]) -> None:
        """Have it make the value and open the place of a task."""
        self._end.send(("task", task["peer"], task))
        self.answer()

    def ask(self, verb: str, name: str, keys: list[str]) -> None:
        """Have it put, get, or get and touch these keys; the answer is waited for apart."""
        self._end.send((verb, name, keys))

    def answer(self) -> float:
        """Wait until it is done; gives the CPU seconds it took."""
        error, seconds = self._end.recv()
        if error:
            raise RuntimeError(error)
        return float(seconds)

    def close(self) -> None:
        """End the process."""
        self._end.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def made(case: str, name: str, length: int) -> Any:
    """Make the value of a case as the peer takes it, and its size in memory."""
    from benchmarks.cases import named

    value = named(case).make(length)
    size = values.size_of(value)
    if name in BLIND:
        del value  # both at a time may be more than the machine has
        return values.payload(size), size
    return value, size


def _serve(end: Connection) -> None:
    from benchmarks._steps import STEPS, Bench

    benches: dict[str, Bench] = {}
    while True:
        try:
            verb, name, given = end.recv()
        except EOFError:
            return
        started, error = time.process_time(), None
        try:
            if verb == "task":
                benches[name] = _prepared(given)
            else:
                STEPS[verb](benches[name], given)
        except Exception as exc:  # noqa: BLE001 - told to the one that asks
            error = repr(exc)
        end.send((error, time.process_time() - started))


def _prepared(task: dict[str, Any]) -> Any:
    from benchmarks._steps import Bench

    os.environ.update(task["environment"])
    module = peer(task["peer"])
    value, _ = made(task["case"], task["peer"], task["length"])
    bench = Bench(task["peer"], module, module.open_at(task["root"]), value, 0)
    key = f"warm-up-{os.getpid()}"  # what is loaded late is loaded now
    module.put(bench.handle, key, value)
    module.get(bench.handle, key)
    module.delete(bench.handle, key)
    return bench
