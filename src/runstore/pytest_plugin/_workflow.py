"""Runs of workflows in tests, some of whose stages are replaced."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from runstore.arguments import check_keys
from runstore.context import Stage, Workflow, WorkflowRun
from runstore.errors import InvalidRequestError
from runstore.pytest_plugin._entering import NAMESPACE
from runstore.pytest_plugin._place import TestPlace
from runstore.workflows import run_workflow
from runstore.workflows._load import as_source

__all__ = ["WorkflowRunner"]


class WorkflowRunner:
    """Runs workflows in threads, on the store of a test.

    Args:
        place: The store.
    """

    def __init__(self, place: TestPlace) -> None:
        self._place = place

    def __call__(
        self,
        workflow: Any,
        *,
        stubs: Mapping[str, Any] | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the context's field
        config: Any = None,
        namespace: str = NAMESPACE,
        raise_on_failure: bool = True,
        **more: Any,
    ) -> WorkflowRun:
        """Run a workflow and return its record, as `runstore.run_workflow` does.

        Args:
            workflow: A `Workflow`, a dict, the path of a YAML file, or ``module:name``.
            stubs: By the names of stages what stands in their place: a function, which is called
                as the stage is, or any other value, which is the result of each call.
            input, config, namespace, raise_on_failure, more: As for `runstore.run_workflow`.

        Raises:
            InvalidRequestError: There is no stage of a name in *stubs*.
            StageError: A stage failed; and what else `runstore.run_workflow` raises.
        """
        check_keys("workflow_runner", "stubs", stubs, optional=True)
        origin = as_source(workflow)
        stubbed: Any = replace(origin, workflow=_with_stubs(origin.workflow, stubs or {}))
        return run_workflow(
            stubbed,
            input=input,
            config=config,
            namespace=namespace,
            store=self._place.url,
            source="pytest",
            raise_on_failure=raise_on_failure,
            **more,
        )


def _with_stubs(workflow: Workflow, stubs: Mapping[str, Any]) -> Workflow:
    names = [stage.name for stage in workflow.spec.stages]
    for name in stubs:
        if name not in names:
            close = get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            raise InvalidRequestError(
                f"workflow_runner: {workflow.metadata.name!r} has no stage {name!r}; {hint}"
            )
    stages = tuple(
        _stubbed(stage, stubs[stage.name]) if stage.name in stubs else stage
        for stage in workflow.spec.stages
    )
    spec = workflow.spec.model_copy(update={"stages": stages})
    return workflow.model_copy(update={"spec": spec})


def _stubbed(stage: Stage, stub: Any) -> Stage:
    target: Callable[..., Any] = stub if callable(stub) else _returning(stub)
    return stage.model_copy(update={"target": target})


def _returning(value: Any) -> Callable[..., Any]:
    def stub(*args: Any) -> Any:
        return value

    return stub
