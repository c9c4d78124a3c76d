"""The checks of a workflow that can be made before any of it runs, and its plan."""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from runstore.context import Stage, target_name
from runstore.errors import InvalidWorkflowError
from runstore.faults import is_own_fault
from runstore.workflows._fingerprint import code_parts
from runstore.workflows._load import Source
from runstore.workflows._own_code import Files
from runstore.workflows._python import STAGE
from runstore.workflows._retries import error_names
from runstore.workflows._targets import TargetError, accepted, resolve

__all__ = ["Plan", "PlannedStage", "make_plan"]


@dataclass(frozen=True)
class PlannedStage:
    """A stage that can be run.

    Attributes:
        stage: Its definition.
        function: Its code, which can cross to a process.
        needs: The stages that must be done first.
        map_on: The stage whose result is mapped over, or None.
        map_input: The key of the run's input whose value is mapped over, or None.
        passes: The stages whose results are passed, after the item if it is mapped.
        keywords: The keys of the run's input that are passed by name.
        retry_on: The errors after which it is tried again, by where they are defined.
    """

    stage: Stage
    function: Callable[..., Any]
    needs: tuple[str, ...]
    map_on: str | None
    map_input: str | None
    passes: tuple[str, ...]
    keywords: tuple[str, ...]
    retry_on: tuple[str, ...] = ()

    @property
    def mapped(self) -> bool:
        """Whether it is called once per item."""
        return self.map_on is not None or self.map_input is not None


@dataclass(frozen=True)
class Plan:
    """The stages by name, in the order of the definition; their dependencies have no cycle.

    Attributes:
        stages: The stages.
        code: The parts of the code of each stage, as of `code_parts`.
    """

    stages: Mapping[str, PlannedStage]
    code: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def sorter(self) -> TopologicalSorter[str]:
        """Return a new sorter, which yields stages when those they depend on are done."""
        return TopologicalSorter({name: one.needs for name, one in self.stages.items()})

    def needs(self) -> dict[str, Mapping[str, float]]:
        """Return the resources that a call of each stage needs, by the stage's label."""
        return {f"stage {name!r}": one.stage.resources for name, one in self.stages.items()}


def make_plan(source: Source, given: Mapping[str, Any] | None = None) -> Plan:
    """Check the workflow as a whole, import its targets, and return its plan.

    Args:
        source: The workflow.
        given: The run's input.

    Raises:
        InvalidWorkflowError: Two stages have one name, a stage depends on itself, on
            an unknown stage or in a circle, maps over nothing, or has a target
            that does not exist or needs other arguments than it would be given.
    """
    stages = source.workflow.spec.stages
    given = given or {}
    _check_names(source, given)
    maps = {stage.name: _map_on(source, index, given) for index, stage in enumerate(stages)}
    needs = {stage.name: _needs(stage, maps[stage.name][0]) for stage in stages}
    _check_cycles(source, needs)
    planned = {}
    for index, stage in enumerate(stages):
        map_on, map_input = maps[stage.name]
        results = tuple(name for name in stage.depends_on if name != map_on)
        try:
            function = resolve(stage.target)
            others = [key for key in given if key != map_input]
            passed = accepted(function, map_on or map_input, results, others)
        except TargetError as exc:
            raise _invalid(
                source,
                f"stage {stage.name!r}, target {target_name(stage.target)!r}: {exc}",
                *("spec", "stages", index, "target"),
            ) from (exc.__cause__ or exc)
        planned[stage.name] = PlannedStage(
            *(stage, function, needs[stage.name], map_on, map_input),
            *passed,
            _retry_on(source, index),
        )
    files = Files()
    code = {name: _code_of(one.function, files) for name, one in planned.items()}
    return Plan(planned, code)


def _code_of(function: Callable[..., Any], files: Files) -> dict[str, str]:
    """Return the parts of a stage's code; none if it has something that cannot be looked at."""
    try:
        return code_parts(function, files)
    except Exception as exc:  # attributes and pickles of a user's values are their code
        if is_own_fault(exc):
            raise
        return {}


def _retry_on(source: Source, index: int) -> tuple[str, ...]:
    stage = source.workflow.spec.stages[index]
    try:
        return error_names(stage.retry_on)
    except TargetError as exc:
        raise _invalid(
            source,
            f"stage {stage.name!r}, retry_on: {exc}",
            *("spec", "stages", index, "retry_on"),
        ) from (exc.__cause__ or exc)


def _check_names(source: Source, given: Mapping[str, Any]) -> None:
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
        map_on = stage.options.map_on
        if map_on is not None and map_on not in given:
            wanted.append((map_on, ("options", "map_on")))
        for name, field in wanted:
            if name == stage.name:
                raise _invalid(source, f"stage {name!r} depends on itself", *loc, *field)
            if name not in names:
                unknown = _unknown if field[0] == "depends_on" else _nothing_to_map
                told = unknown(stage.name, name, names, given)
                if getattr(stage.target, STAGE, None) == stage:
                    told += (
                        ". It was declared by stage(…), which marks the function for every "
                        f"workflow; to leave it out here, pass Stage(name={stage.name!r}, "
                        "target=…) with the function"
                    )
                raise _invalid(source, told, *loc, *field)
        twice = [name for name, count in Counter(stage.depends_on).items() if count > 1]
        if twice:
            raise _invalid(
                source,
                f"stage {stage.name!r} names {twice[0]!r} twice in depends_on",
                *(*loc, "depends_on"),
            )


def _unknown(stage: str, name: str, names: list[str], given: Mapping[str, Any]) -> str:
    hint = _meant(name, names)
    if name in given:
        hint = "it is a key of the input, which stages are given by the names of their parameters"
    return f"stage {stage!r} depends on {name!r}, which is no stage of this workflow; {hint}"


def _nothing_to_map(stage: str, name: str, names: list[str], given: Mapping[str, Any]) -> str:
    return (
        f"stage {stage!r} maps over {name!r}, which is no stage of this workflow and no key of the "
        f"run's input; {_meant(name, [*names, *given])}"
    )


def _meant(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there {'is only' if len(names) == 1 else 'are'} {', '.join(map(repr, names))}"


def _map_on(source: Source, index: int, given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the stage, or the key of the input, that a stage is mapped over."""
    stage = source.workflow.spec.stages[index]
    name = stage.options.map_on
    if stage.type == "simple":
        if name is None:
            return None, None
        raise _invalid(
            source,
            f"stage {stage.name!r} has options.map_on but is simple: add `type: parameterized`",
            *("spec", "stages", index, "options", "map_on"),
        )
    if name is not None:
        is_stage = any(other.name == name for other in source.workflow.spec.stages)
        if is_stage and name in given:
            raise _invalid(
                source,
                f"stage {stage.name!r} maps over {name!r}, which is a stage and a key of the run's "
                "input as well: give one of them another name",
                *("spec", "stages", index, "options", "map_on"),
            )
        return (name, None) if is_stage else (None, name)
    if stage.depends_on:
        return stage.depends_on[0], None
    if index == 0:
        raise _invalid(
            source,
            f"stage {stage.name!r} is parameterized but has nothing to map over: name a stage in "
            "options.map_on, or a key of the run's input",
            *("spec", "stages", index),
        )
    return source.workflow.spec.stages[index - 1].name, None


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
