"""Which runs go: the rules of a call and of each workflow, on what is known of the runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runstore.context import Retention
from runstore.errors import RunStoreError
from runstore.runs import RunLook, living

__all__ = ["QUIET", "Rules", "Verdict", "judged", "rules_of"]


QUIET = 86_400.0
"""Seconds since the last sign of a run of which nobody says that it has ended, before it goes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long runs are kept; None says nothing.

    Attributes:
        keep_last: The newest so many of a workflow.
        keep_finished: The newest so many of a workflow that have finished.
        older_than: Seconds since a run ended; younger ones are kept.
    """

    keep_last: int | None = None
    keep_finished: int | None = None
    older_than: float | None = None

    @property
    def say_nothing(self) -> bool:
        """Whether no run goes by them."""
        return self.keep_last is None and self.keep_finished is None and self.older_than is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a run.

    Attributes:
        goes: Whether it goes.
        reason: Why, for people.
    """

    goes: bool
    reason: str


def rules_of(given: Rules, look: RunLook) -> Rules:
    """Return the rules for a workflow, whose newest run is *look*: what is given counts first.

    A definition that this version cannot read says nothing, and keeps its runs therefore. Only a
    call lets the last finished run go: one run's definition counts for all of its workflow.
    """
    if look.retention is None:
        return given
    try:
        own = Retention.model_validate(look.retention)
    except (ValueError, RunStoreError):
        return Rules()
    return Rules(
        own.keep_last if given.keep_last is None else given.keep_last,
        _at_least_one(own.keep_finished) if given.keep_finished is None else given.keep_finished,
        own.older_than if given.older_than is None else given.older_than,
    )


def _at_least_one(count: int | None) -> int | None:
    return None if count is None else max(count, 1)


def judged(
    looks: Iterable[RunLook],
    given: Rules,
    now: float,
    pinned: frozenset[str],
    read: Mapping[str, str],
    workflow: str | None = None,
) -> dict[str, Verdict]:
    """Judge the runs of a namespace that have a record.

    Args:
        looks: The runs.
        given: The rules of the call.
        now: The current time, in seconds since 1970.
        pinned: The names of pinned runs.
        read: By name of a run the living run that reads it.
        workflow: Only runs of this one go.
    """
    verdicts: dict[str, Verdict] = {}
    by_workflow: dict[str, list[RunLook]] = {}
    for look in looks:
        if look.removal is not None or look.workflow is None:
            continue  # what is half removed goes, what cannot be read stays: not by these rules
        by_workflow.setdefault(look.workflow, []).append(look)
    for name, runs in by_workflow.items():
        if workflow is not None and workflow != name:
            continue
        runs.sort(key=lambda look: look.started, reverse=True)
        rules = rules_of(given, runs[0])
        whose = "" if rules == given else f"; by the definition of run {runs[0].name!r}"
        for look, verdict in _by_rules(runs, rules, now):
            if verdict.goes:
                verdict = Verdict(True, verdict.reason + whose)
            verdicts[look.name] = _spared(look, pinned, read) or verdict
    return verdicts


def _spared(look: RunLook, pinned: frozenset[str], read: Mapping[str, str]) -> Verdict | None:
    if look.name in pinned:
        return Verdict(False, "pinned")
    if living(look.state):
        return Verdict(False, f"its record says that it is {look.state}")
    if look.name in read:
        return Verdict(False, f"read by {read[look.name]}, which goes on")
    return None


def _by_rules(runs: list[RunLook], rules: Rules, now: float) -> Iterable[tuple[RunLook, Verdict]]:
    """Judge the runs of one workflow, newest first, by rules alone."""
    keep_finished = 1 if rules.keep_finished is None else rules.keep_finished
    last = finished = 0
    for look in runs:
        if living(look.state):
            yield look, Verdict(False, look.state)
            continue
        last += 1
        finished += look.state == "finished"
        ended = look.started if look.ended is None else look.ended
        if rules.say_nothing:
            verdict = Verdict(False, "no rule says that it goes")
        elif look.state == "finished" and finished <= keep_finished:
            verdict = Verdict(False, f"one of the newest {keep_finished} that have finished")
        elif rules.keep_last is not None and last <= rules.keep_last:
            verdict = Verdict(False, f"one of the newest {rules.keep_last}")
        elif rules.older_than is not None and now - ended < rules.older_than:
            verdict = Verdict(False, f"younger than {_age(rules.older_than)}")
        elif look.state == "lost" and now - ended < QUIET:
            verdict = Verdict(False, "lost, and it gave a sign of life within a day")
        else:
            verdict = Verdict(True, _why(look, rules))
        yield look, verdict


def _why(look: RunLook, rules: Rules) -> str:
    told = [look.state]
    if rules.keep_last:  # none is one of the newest 0
        told.append(f"not one of the newest {rules.keep_last}")
    elif rules.keep_last is None and rules.keep_finished:
        told.append(f"not one of the newest {rules.keep_finished} that have finished")
    if rules.older_than is not None:
        told.append(f"older than {_age(rules.older_than)}")
    return ", ".join(told)


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} seconds"
