"""Many processes write parts of one object, and are killed: a program for the tests of parts.

    python -m tests.store.side_by_side generations URL 8 64
    python -m tests.store.side_by_side loop URL 4 10000 30 LOG
    python -m tests.store.side_by_side sealed URL 10000
    python -m tests.store.side_by_side kills FOLDER

It forks its workers, so that they start fast. It prints one JSON object, or fails.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from runstore import ObjectStore
from runstore.errors import ObjectNotFoundError
from runstore.places import Wrapper
from runstore.testing import assert_same

NAME = "x"
_DICE = random.Random(20261128)


def view_of(url: str) -> Any:
    """Open the store; what it needs besides stands in the environment."""
    return ObjectStore(url).at(namespace="dev", run="r1")


def part_of(key: int, generation: int) -> pd.DataFrame:
    """Give a part that says which it is; some are large."""
    rows = 50_000 if key % 16 == 0 else 20
    return pd.DataFrame({"key": [key] * rows, "generation": [generation] * rows})


def forked(work: Callable[[], None]) -> int:
    """Run *work* in a process of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException as exc:  # noqa: BLE001 - told by the exit code
        print(f"worker: {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def ended(pid: int) -> None:
    """Wait for a process that has to end well."""
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"a process ended with {status}")


def killed(pid: int) -> bool:
    """Kill a process; return whether it was still there to be killed."""
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


# Generations -------------------------------------------------------------------------------------


def whole(value: pd.DataFrame, count: int) -> int:
    """Return the generation of a value, or fail unless it is all parts of one, once, in order."""
    generation = int(value["generation"].iloc[0])
    assert_same(pd.concat([part_of(key, generation) for key in range(count)]), value)
    return generation


def generations(url: str, workers: int, count: int) -> dict[str, Any]:
    """Write two generations of an object side by side, each worker killed once and run again."""
    view, polls, kills = view_of(url), 0, 0
    held: list[Any] = []
    for generation in (0, 1):

        def work(number: int, generation: int = generation) -> None:
            mine = view_of(url)
            dice = random.Random(number * 7 + generation)
            keys = list(range(number, count, workers))
            dice.shuffle(keys)
            for key in keys:
                time.sleep(dice.random() / 50)
                mine.put(NAME, part_of(key, generation), part=key)

        running = {forked(lambda n=n: work(n)): n for n in range(workers)}
        doomed = [(time.monotonic() + _DICE.random() * 0.4, pid) for pid in running]
        while doomed or running:
            polls += 1
            found = view.get(NAME, default=None)  # before the seal: nothing, or the old whole
            if generation == 0:
                assert found is None, "an unsealed part was seen"
            else:
                assert whole(found, count) == 0
                for key in (0, polls % count):  # who holds the old one reads on
                    assert_same(part_of(key, 0), view.get(NAME, part=held[key]))
            for due, pid in list(doomed):
                if time.monotonic() >= due:
                    doomed.remove((due, pid))
                    number = running.pop(pid)
                    kills += killed(pid)
                    running[forked(lambda n=number: work(n))] = number
            if not doomed:
                for pid in running:
                    ended(pid)
                running = {}
        info = view.seal(NAME)
        assert info.parts == count
        assert whole(view.get(NAME), count) == generation
        if generation == 0:
            held = view.parts(NAME)
    for key in range(count):
        assert_same(part_of(key, 0), view.get(NAME, part=held[key]))
    swept = view.store.sweep(older_than=0)
    assert whole(view.get(NAME), count) == 1
    left = sum(1 for _ in view.store.backend.list("dev/r1/.parts/"))
    assert left == count, f"{left} files are left of {count} parts"
    return {"kills": kills, "polls": polls, "swept": swept}


# Loops -------------------------------------------------------------------------------------------


def loop(url: str, workers: int, items: int, kills: int, log: str) -> dict[str, Any]:
    """Run a loop of pending in several workers, which are killed and run again."""

    def work(number: int) -> None:
        view = view_of(url)
        done = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for key in view.pending(NAME, range(number, items, workers)):
            os.write(done, f"{key}\n".encode())
            view.put(NAME, pd.DataFrame({"key": [key], "square": [key * key]}), part=key)

    view = view_of(url)
    running = {forked(lambda n=n: work(n)): n for n in range(workers)}
    done, left, every = 0, kills, max(1, items // (kills + 2))
    while running:
        count = Path(log).read_bytes().count(b"\n") if Path(log).exists() else 0
        if left and count >= (kills - left + 1) * every:
            pid = _DICE.choice(list(running))
            number = running.pop(pid)
            if killed(pid):
                left, done = left - 1, done + 1
            running[forked(lambda n=number: work(n))] = number
            continue
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            assert status == 0, f"a worker ended with {status}"
            running.pop(pid)
        time.sleep(0.002)
    begun = Path(log).read_text().split()
    assert view.pending(NAME, range(items)) == []
    try:
        view.get(NAME)
    except ObjectNotFoundError:
        pass
    else:
        raise AssertionError("it was seen before it was sealed")
    return {"kills": done, "begun": len(begun), "different": len(set(begun))}


def seal_and_check(url: str, items: int) -> dict[str, Any]:
    """Seal what the loop has put, and look whether each result is there once."""
    view = view_of(url)
    view.seal(NAME)
    value = view.get(NAME)
    assert value["key"].tolist() == list(range(items))
    assert value["square"].tolist() == [key * key for key in range(items)]
    return {"rows": len(value)}


# Seals -------------------------------------------------------------------------------------------


class Deadly(Wrapper):
    """A place that kills its process at one of its calls, or when the bytes of a put are made."""

    def __init__(self, backend: Any, at: int) -> None:
        super().__init__(backend)
        self.left = at

    def step(self) -> None:
        """Count a moment; the last one is the end."""
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def put(self, key: str, buffers: Any, **how: Any) -> Any:
        """See `Backend.put`."""

        def watched() -> Any:
            self.step()
            for buffer in buffers:
                yield buffer
                self.step()

        found = super().put(key, watched(), **how)
        self.step()
        return found

    def tail(self, key: str, length: int) -> Any:
        """See `Backend.tail`."""
        self.step()
        return super().tail(key, length)

    def list(self, prefix: str) -> Any:
        """See `Backend.list`."""
        self.step()
        return super().list(prefix)


def kills_of_seals(folder: str) -> dict[str, Any]:
    """Kill a process at every step of a seal; the old value or the new one is there, whole."""
    done, old, at = 0, 0, 0
    while True:
        url = f"{folder}/{at}"
        view = view_of(url)
        for generation in (0, 1):
            for key in range(4):
                view.put(NAME, part_of(key, generation), part=key)
            if generation == 0:
                view.seal(NAME)

        def work(url: str = url, at: int = at) -> None:
            mine = view_of(url)
            mine.store._objects.backend = Deadly(mine.store._objects.backend, at)
            mine.seal(NAME)

        _, status = os.waitpid(forked(work), 0)
        old += whole(view.get(NAME), 4) == 0
        view.seal(NAME)
        assert whole(view.get(NAME), 4) == 1
        assert view.store.sweep(older_than=0) >= 4
        temporary = Path(url, ".runstore-tmp")
        files = [path for path in Path(url).rglob("*.arrow") if path.is_file()]
        left = [*files, *temporary.iterdir()]
        assert len(left) == 5, left
        if not os.WIFSIGNALED(status):
            return {"kills": done, "old": old}
        done, at = done + 1, at + 1


def main() -> None:
    """Do what the command line says, and print what came of it."""
    what, url, *rest = sys.argv[1:]
    if what == "generations":
        found = generations(url, *map(int, rest))
    elif what == "loop":
        found = loop(url, *map(int, rest[:3]), rest[3])
    elif what == "kills":
        found = kills_of_seals(url)
    else:
        found = seal_and_check(url, int(rest[0]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
