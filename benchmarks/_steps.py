"""What is timed: each step does one thing with every key of a sample."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks import values
from benchmarks._helpers import Helper
from benchmarks.peers import Peer

__all__ = ["HELPERS", "STEPS", "Bench"]

_THREADS = 8  # for peers that have no verb for many objects


@dataclass
class Bench:
    """What a step works on."""

    name: str
    peer: Peer
    handle: Any
    value: Any
    filled: int
    helpers: list[Helper] = field(default_factory=list)


Step = Callable[[Bench, list[str]], Any]


def _put(bench: Bench, keys: list[str]) -> None:
    for key in keys:
        bench.peer.put(bench.handle, key, bench.value)


def _get(bench: Bench, keys: list[str]) -> Any:
    value = None
    for key in keys:
        value = bench.peer.get(bench.handle, key)
    return value  # held by the caller: the peak counts it, its release is not timed


def _get_touch(bench: Bench, keys: list[str]) -> Any:
    value = None
    for key in keys:
        value = bench.peer.get(bench.handle, key)
        values.touch(value)
    return value


def _get_column(bench: Bench, keys: list[str]) -> Any:
    return [bench.peer.get_column(bench.handle, key, "x07") for key in keys]


def _put_many(bench: Bench, keys: list[str]) -> None:
    if hasattr(bench.peer, "put_many"):
        bench.peer.put_many(bench.handle, dict.fromkeys(keys, bench.value))
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda key: bench.peer.put(bench.handle, key, bench.value), keys))


def _get_many(bench: Bench, keys: list[str]) -> Any:
    if hasattr(bench.peer, "get_many"):
        return bench.peer.get_many(bench.handle, keys)
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda key: bench.peer.get(bench.handle, key), keys))


def _names(bench: Bench, keys: list[str]) -> None:
    found = len(bench.peer.names(bench.handle))
    if found < bench.filled:
        raise LookupError(f"{found} names were listed of {bench.filled}")


def _exists(bench: Bench, keys: list[str]) -> None:
    for key in keys:
        bench.peer.exists(bench.handle, key)


def _stat(bench: Bench, keys: list[str]) -> None:
    for key in keys:
        bench.peer.stat(bench.handle, key)


def _delete(bench: Bench, keys: list[str]) -> None:
    for key in keys:
        bench.peer.delete(bench.handle, key)


def _eight(verb: str) -> Step:
    def step(bench: Bench, keys: list[str]) -> float:
        for number, helper in enumerate(bench.helpers):
            helper.ask(verb, bench.name, [f"{key}-{number}" for key in keys])
        return sum(helper.answer() for helper in bench.helpers)

    return step


def _hand_over(verb: str) -> Step:
    def step(bench: Bench, keys: list[str]) -> float:
        helper = bench.helpers[0]
        _put(bench, keys)
        helper.ask(verb, bench.name, keys)
        return helper.answer()

    return step


STEPS: dict[str, Step] = {
    "put": _put,
    "get": _get,
    "get_touch": _get_touch,
    "get_column": _get_column,
    "put_many": _put_many,
    "get_many": _get_many,
    "names": _names,
    "exists": _exists,
    "stat": _stat,
    "delete": _delete,
    "eight_put": _eight("put"),
    "eight_get": _eight("get"),
    "hand_over": _hand_over("get"),
    "hand_over_touch": _hand_over("get_touch"),
}

HELPERS = frozenset({"eight_put", "eight_get", "hand_over", "hand_over_touch"})
"""Steps in which other processes work; they give the CPU seconds of those, which are added."""
