"""The rounds of a case: every peer in its own process, one after the other, again and again."""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._environments import NotInstalledError
from benchmarks._places import Place, Places
from benchmarks._process import Crew, Worker
from benchmarks.cases import Case

__all__ = ["Result", "run_case"]

Result = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[1]
_WRITES = ("put", "put_many", "eight_put", "hand_over")
_PROCESSES = 8
_CHECKED = 100  # objects that are compared, of many that are alike


def run_case(case: Case, places: Places, crew: Crew, *, rounds: int, quick: bool) -> list[Result]:
    """Run *case* for each of its peers, interleaved.

    Each round visits every peer once and begins one peer further, so that a slow
    moment of the machine is shared and nobody is always first.

    Args:
        case: What to do.
        places: Where objects can be put.
        crew: Who does it.
        rounds: How often at most.
        quick: With the case's tiny value, few of it, and one round.

    Returns:
        One result per peer, in the case's order, failed ones included.
    """
    with places.scratch(case.place) as scratch:
        shared = places.make(case.place, "shared", scratch) if case.shared else None
        turns: list[_Turn] = []
        try:
            for name in case.peers:
                place = shared or places.make(case.place, name, scratch)
                turns.append(_Turn(case, name, place, crew, quick=quick))
                turns[-1].begin(fill=shared is None or len(turns) == 1)
                if shared:
                    turns[-1].describe()  # the next one looks at what this one has filled
            for turn in turns:  # they prepare at the same time, and work only one at a time
                turn.describe()
            for number in range(1 if quick else min(rounds, case.rounds)):
                first = number % len(turns)
                for turn in turns[first:] + turns[:first]:
                    turn.round(number)
        finally:
            for turn in turns:
                turn.end()
        return [turn.result for turn in turns]


class _Turn:
    """A peer in a case: its process and place, and what is known so far."""

    def __init__(self, case: Case, name: str, place: Place, crew: Crew, *, quick: bool) -> None:
        few = 3 if quick else 10**9
        self._case, self._name, self._place, self._crew = case, name, place, crew
        self._length = case.tiny if quick else case.length
        self._processes = 1 if quick else _PROCESSES
        self._worker: Worker | None = None
        self._described = False
        self.result: Result = {
            "case": case.name,
            "suite": case.suite,
            "peer": name,
            "label": name,
            "place": case.place,
            "count": min(case.count, few),
            "filled": min(case.filled, few),
            "runs": min(case.runs, few),
            "processes": self._processes if "eight_put" in case.steps else 1,
            "status": "ok",
            "error": None,
            "samples": {},
        }

    def begin(self, *, fill: bool) -> None:
        """Have a process prepare value and place."""
        try:
            self._worker = self._crew.worker(self._name)
        except NotInstalledError as exc:
            self.result |= {"status": exc.status, "error": self._clean(str(exc))}
            return
        task = {
            "case": self._case.name,
            "peer": self._name,
            "root": self._place.root,
            "environment": self._place.environment,
            "length": self._length,
            "steps": self._case.steps,
            "filled": self.result["filled"],
            "runs": self.result["runs"],
            "fill": fill,
            "processes": self._processes,
        }
        self._worker.tell({"task": task})

    def describe(self) -> None:
        """Wait until the value is made and the place is open."""
        if not self._described and (answer := self._answer()) is not None:
            self.result |= answer
        self._described = True

    def round(self, number: int) -> None:
        """Do each step once, unless an earlier one failed."""
        keys = [f"o{number}-{i}" for i in range(self.result["count"])]
        writes = bool({*_WRITES} & {*self._case.steps})
        before = self._place.stored() if number == 0 and writes else None
        for step in self._case.steps:
            if not self._step(step, keys, first=number == 0):
                return
            if step in _WRITES and before is not None:
                self.result["stored_bytes"] = (self._place.stored() or 0) - before
                before = None
        if "get" in self._case.steps and number == 0 and "delete" not in self._case.steps:
            answer = self._ask({"step": "check", "keys": keys[:_CHECKED]})
            if answer is not None and answer["different"]:
                self.result |= {"status": "differs", "error": self._clean(answer["different"])}
        if writes and "delete" not in self._case.steps:
            if "eight_put" in self._case.steps:
                keys = [f"{key}-{i}" for key in keys for i in range(self._processes)]
            self._ask({"step": "clear", "keys": keys})

    def end(self) -> None:
        """Give the process back, and the place."""
        if self._worker is not None:
            self._crew.release(self._worker)
        self._place.clear()

    def _step(self, step: str, keys: list[str], *, first: bool) -> bool:
        # The server's counters are late, and the same in each round: they are read in one.
        before = self._place.counted() if first else None
        answer = self._ask({"step": step, "keys": keys})
        if answer is None:
            return False
        if before is not None and (after := self._place.counted()) is not None:
            answer |= {measure: after[measure] - before[measure] for measure in before}
        kept = self.result["samples"].setdefault(step, {})
        for measure, value in answer.items():
            kept.setdefault(measure, []).append(_rounded(value))
        return True

    def _ask(self, turn: dict[str, Any]) -> dict[str, Any] | None:
        if self._worker is None or self.result["status"] == "failed":
            return None
        self._worker.tell(turn | {"peer": self._name})
        return self._answer()

    def _answer(self) -> dict[str, Any] | None:
        if self._worker is None:
            return None
        answer = self._worker.answer()
        if answer.get("error"):
            self.result |= {"status": "failed", "error": self._clean(answer["error"])}
            return None
        return answer

    def _clean(self, text: str) -> str:
        """Take out where this machine keeps things: results are published."""
        kept = [self._place.root, *(str(path) for path in (_ROOT, Path.home()))]
        for folder in (*kept, sys.prefix, sys.base_prefix, tempfile.gettempdir()):
            text = text.replace(folder, "…")
        text = re.sub(r"127\.0\.0\.1:\d+", "server", text)
        return re.sub(r"https?://\S+", "…", text)[:600]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if isinstance(value, float) else value
