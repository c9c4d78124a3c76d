"""The rounds of a case: every peer in its own process, one after the other, again and again."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.cases import Case
from benchmarks.peers import MODULES

__all__ = ["Result", "child_environment", "run_case"]

Result = dict[str, Any]

_LIMIT = 300.0  # seconds that one answer may take


def run_case(case: Case, folder: Path, *, rounds: int, quick: bool) -> list[Result]:
    """Run *case* for each of its peers, interleaved.

    Each round visits every peer once and begins one peer further, so that a slow
    moment of the machine is shared and nobody is always first.

    Args:
        case: What to do.
        folder: An existing folder on the disk to be measured.
        rounds: How often.
        quick: With the case's tiny value.

    Returns:
        One result per peer, in the case's order, failed ones included.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{case.name}-") as scratch:
        length = case.tiny if quick else case.length
        children = [_Child(case, name, Path(scratch), length) for name in case.peers]
        try:
            for child in children:  # they prepare at the same time, and work only one at a time
                child.describe()
            for number in range(rounds):
                first = number % len(children)
                for child in children[first:] + children[:first]:
                    child.round(number)
        finally:
            for child in children:
                child.close()
        return [child.result for child in children]


class _Child:
    """A peer's process, and what is known of it so far."""

    def __init__(self, case: Case, name: str, scratch: Path, length: int) -> None:
        root = _root(case.place, name, scratch)
        self.result: Result = {
            "case": case.name,
            "peer": name,
            "label": name,
            "place": case.place,
            "count": case.count,
            "status": "ok",
            "error": None,
            "samples": {},
        }
        self._log = (scratch / f"{name}.log").open("w+")
        command = [sys.executable, "-m", "benchmarks._worker", case.name, name, root, str(length)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=child_environment(),
        )

    def describe(self) -> None:
        """Wait until the value is made and the place is open."""
        if (answer := self._answer()) is not None:
            self.result |= answer

    def round(self, number: int) -> None:
        """Have one round done, unless an earlier one failed."""
        if self.result["status"] == "failed":
            return
        assert self._process.stdin is not None
        turn = json.dumps({"number": number, "check": number == 0})
        with suppress(BrokenPipeError):  # it died; the answer that does not come says so
            print(turn, file=self._process.stdin, flush=True)
        answer = self._answer()
        if answer is None:
            return
        for what, sample in answer["samples"].items():
            kept = self.result["samples"].setdefault(what, {"seconds": [], "peak_bytes": []})
            for measure, value in sample.items():
                kept[measure].append(value)
        self.result["stored_bytes"] = answer["stored_bytes"]
        if answer["different"]:
            self.result |= {"status": "differs", "error": answer["different"]}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        timer = Timer(_LIMIT, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if answer.get("error"):
            self.result |= {"status": "failed", "error": answer["error"]}
            return None
        return answer

    def _last_words(self) -> str:
        self._log.seek(0)
        said = self._log.read().strip()[-500:]
        return f"its process ended or took more than {_LIMIT:.0f} s: {said or 'no message'}"


def child_environment() -> dict[str, str]:
    """Give a child this process's modules, also when run from a checkout."""
    here = str(Path(__file__).resolve().parent.parent)
    paths = [here, *(path for path in sys.path if path)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _root(place: str, name: str, scratch: Path) -> str:
    if place == "memory":
        return "memory://benchmarks"
    assert name in MODULES
    root = scratch / name
    root.mkdir()
    return str(root)
