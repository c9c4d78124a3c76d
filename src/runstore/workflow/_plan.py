"""The checks of a workflow that can be made before any of it runs, and its plan."""

import difflib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from runstore.context import Stage, target_name
from runstore.errors import InvalidWorkflowError
from runstore.workflow._load import Source
from runstore.workflow._targets import TargetError, accepted, resolve

__all__ = ["Plan", "PlannedStage", "make_plan"]


@dataclass(frozen=True)
class PlannedStage:
    """A stage that can be run.

    Attributes:
        stage: Its definition.
        function: Its code, which can cross to a process.
        needs: The stages that must be done first.
        map_on: The stage whose result is mapped over, or None.
        passes: The stages whose results are passed, after the item if it is mapped.
    """

    stage: Stage
    function: Callable[..., Any]
    needs: tuple[str, ...]
    map_on: str | None
    passes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The stages by name, in the order of the definition; their dependencies have no cycle."""

    stages: Mapping[str, PlannedStage]

    def sorter(self) -> TopologicalSorter[str]:
        """Return a new sorter, which yields stages when those they depend on are done."""
        return TopologicalSorter({name: one.needs for name, one in self.stages.items()})

    def needs(self) -> dict[str, Mapping[str, float]]:
        """Return the resources that a call of each stage needs, by the stage's label."""
        return {f"stage {name!r}": one.stage.resources for name, one in self.stages.items()}


def make_plan(source: Source) -> Plan:
    """Check the workflow as a whole, import its targets, and return its plan.

    Raises:
        InvalidWorkflowError: Two stages have one name, a stage depends on itself, on
            an unknown stage or in a circle, maps over nothing, or has a target
            that does not exist or needs other arguments than it would be given.
    """
    stages = source.workflow.spec.stages
    _check_names(source)
    maps = {stage.name: _map_on(source, index) for index, stage in enumerate(stages)}
    needs = {stage.name: _needs(stage, maps[stage.name]) for stage in stages}
    _check_cycles(source, needs)
    planned = {}
    for index, stage in enumerate(stages):
        map_on = maps[stage.name]
        results = tuple(name for name in stage.depends_on if name != map_on)
        try:
            function = resolve(stage.target)
            passes = accepted(function, map_on, results)
        except TargetError as exc:
            raise _invalid(
                source,
                f"stage {stage.name!r}, target {target_name(stage.target)!r}: {exc}",
                *("spec", "stages", index, "target"),
            ) from (exc.__cause__ or exc)
        planned[stage.name] = PlannedStage(stage, function, needs[stage.name], map_on, passes)
    return Plan(planned)


def _check_names(source: Source) -> None:
    stages = source.workflow.spec.stages
    names = [stage.name for stage in stages]
    for index, stage in enumerate(stages):
        loc = ("spec", "stages", index)
        if stage.name in names[:index]:
            first = names.index(stage.name)
            raise _invalid(
                source,
                f"stages {first + 1} and {index + 1} are both called {stage.name!r}: "
                "names must differ",
                *(*loc, "name"),
            )
        wanted: list[tuple[str, tuple[str, ...]]]
        wanted = [(name, ("depends_on",)) for name in stage.depends_on]
        if stage.options.map_on is not None:
            wanted.append((stage.options.map_on, ("options", "map_on")))
        for name, field in wanted:
            if name == stage.name:
                raise _invalid(source, f"stage {name!r} depends on itself", *loc, *field)
            if name not in names:
                raise _invalid(source, _unknown(stage.name, name, names), *loc, *field)
        twice = [name for name, count in Counter(stage.depends_on).items() if count > 1]
        if twice:
            raise _invalid(
                source,
                f"stage {stage.name!r} names {twice[0]!r} twice in depends_on",
                *(*loc, "depends_on"),
            )


def _unknown(stage: str, name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, names))}"
    return f"stage {stage!r} depends on {name!r}, which is no stage of this workflow; {hint}"


def _map_on(source: Source, index: int) -> str | None:
    stage = source.workflow.spec.stages[index]
    given = stage.options.map_on
    if stage.type == "simple":
        if given is None:
            return None
        raise _invalid(
            source,
            f"stage {stage.name!r} has options.map_on but is simple: add `type: parameterized`",
            *("spec", "stages", index, "options", "map_on"),
        )
    if given is not None:
        return given
    if len(stage.depends_on) == 1:
        return stage.depends_on[0]
    if index == 0:
        raise _invalid(
            source,
            f"stage {stage.name!r} is parameterized but has nothing to map over: name a stage in "
            "options.map_on",
            *("spec", "stages", index),
        )
    return source.workflow.spec.stages[index - 1].name


def _needs(stage: Stage, map_on: str | None) -> tuple[str, ...]:
    if map_on is None or map_on in stage.depends_on:
        return stage.depends_on
    return (map_on, *stage.depends_on)


def _check_cycles(source: Source, needs: Mapping[str, tuple[str, ...]]) -> None:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as exc:
        circle: list[str] = exc.args[1]  # each is needed by the next
        index = list(needs).index(circle[0])
        raise _invalid(
            source,
            f"the stages depend on each other in a circle: {' → '.join(reversed(circle))} "
            "(→ means 'depends on')",
            *("spec", "stages", index),
        ) from None


def _invalid(source: Source, message: str, *loc: str | int) -> InvalidWorkflowError:
    name = source.workflow.metadata.name
    return InvalidWorkflowError(f"{source.place(*loc)}workflow {name!r}: {message}", name)
