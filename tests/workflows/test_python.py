"""Workflows that are written in Python."""

import pickle
from functools import partial
from typing import Any

import pytest

from runstore import Stage, stage, workflow
from runstore.errors import InvalidRequestError, InvalidWorkflowError


def numbers(n: int = 3) -> list[int]:
    """Count."""
    return list(range(n))


@stage(map_on=numbers, retries=2)
def double(x: int) -> int:
    """Double one."""
    return 2 * x


@stage(depends_on=[double, "numbers"], name="sum")
def total(doubled: list[int], counted: list[int]) -> int:
    """Add all."""
    return sum(doubled) + sum(counted)


def test_functions_make_a_workflow(run: Any) -> None:
    """Decorated and plain functions and stages become stages, in the order given."""
    flow = workflow("small", numbers, double, total, annotations={"team": "x"})
    assert ["numbers", "double", "sum"] == [one.name for one in flow.spec.stages]
    assert (2, "numbers") == (flow.spec.stages[1].retries, flow.spec.stages[1].options.map_on)
    assert ("double", "numbers") == flow.spec.stages[2].depends_on
    assert {"team": "x"} == flow.metadata.annotations
    assert 9 == run(flow).result
    assert 3 == run(flow, {"n": 2}).result


def test_a_decorated_function_stays_a_function() -> None:
    """It can be called and pickled as before."""
    assert 4 == double(2)
    assert double is pickle.loads(pickle.dumps(double))


def test_bare_decorator_and_stage_objects(threads: Any) -> None:
    """`@stage` alone takes the function's name; a Stage stands for itself."""

    @stage
    def one() -> int:
        return 1

    flow = workflow("w", one, Stage(name="two", target=lambda x: x + 1, depends_on=one.__name__))
    assert 2 == threads(flow).result


def test_a_partial_has_its_functions_name(threads: Any) -> None:
    """functools.partial is a stage like any other."""
    assert [0, 1] == threads(workflow("w", partial(numbers, 2))).result


def test_a_mark_holds_in_every_workflow(threads: Any) -> None:
    """A function that was declared for one is refused in another without what it needs."""

    def second() -> int:
        return 2

    assert 2 == threads(workflow("one", numbers, stage(name="b", map_on=None)(second))).result
    marked = stage(depends_on=numbers)(second)
    with pytest.raises(InvalidWorkflowError, match=r"there is only 'second'\. It was declared by"):
        threads(workflow("two", marked))
    assert 2 == threads(workflow("two", Stage(name="second", target=second))).result


def test_what_is_refused() -> None:
    """No stages, no name, wrong types: one sentence each."""
    with pytest.raises(InvalidWorkflowError, match="has no stages"):
        workflow("w")
    with pytest.raises(InvalidWorkflowError, match=r"write Stage\(name=…, target=…\)"):
        workflow("w", lambda: 1)
    with pytest.raises(InvalidRequestError, match="stages"):
        workflow("w", 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidWorkflowError, match="depends_on"):
        stage(depends_on=5)(numbers)  # type: ignore[call-overload]
    with pytest.raises(InvalidWorkflowError, match="retries"):
        stage(retries=-1)(numbers)
    with pytest.raises(
        InvalidWorkflowError, match=r"^stage: retries: .* a whole number, not 'two'"
    ):
        stage(retries="two")  # type: ignore[call-overload]
    with pytest.raises(InvalidWorkflowError, match=r"^stage 'n': timeout: .* a number, not 'x'"):
        stage(name="n", timeout="x")  # type: ignore[call-overload]
    with pytest.raises(
        InvalidWorkflowError, match=r"^stage: max_at_once: .* than or equal to 1, not 0"
    ):
        stage(max_at_once=0)
    with pytest.raises(InvalidWorkflowError, match=r"^a stage that is a lambda has no name"):
        workflow("w", lambda: 1)
    with pytest.raises(InvalidRequestError, match="function"):
        stage(5)  # type: ignore[call-overload]
