"""Parameterized stages: one call per item, results in order."""

from typing import Any

import pytest

from runstore import get_run_context
from runstore.errors import StageError

MAPPED = {"type": "parameterized"}


@pytest.mark.extended
def test_one_call_per_item_in_order(run: Any, flow: Any) -> None:
    """The result is a list in the order of the items, each call knowing its index."""

    def square(item: int) -> tuple[int, int | None]:
        stage = get_run_context().stage
        return item * item, stage.map_index if stage else None

    record = run(flow(items=lambda: [3, 1, 2], square=(square, MAPPED)))
    assert [(9, 0), (1, 1), (4, 2)] == record.result


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"options": {"map_on": "a"}}, [10]),
        ({"depends_on": "b"}, [20]),
        ({}, [30]),
        ({"depends_on": ["b"], "options": {"map_on": "a"}}, [10]),
    ],
)
def test_what_is_mapped_over(
    fields: dict[str, Any], expected: list[int], threads: Any, flow: Any
) -> None:
    """It is map_on, else the only stage depended on, else the one before in the definition."""
    record = threads(
        flow(
            a=lambda: [1],
            b=lambda: [2],
            c=lambda: [3],
            mapped=(lambda item: item * 10, {**MAPPED, **fields}),
        )
    )
    assert expected == record.result


@pytest.mark.extended
def test_other_results_follow_the_item(run: Any, flow: Any) -> None:
    """A mapped stage that takes more than the item is given the other results too."""
    record = run(
        flow(
            items=lambda: [1, 2],
            factor=lambda: 10,
            scale=(
                lambda item, factor: item * factor,
                {**MAPPED, "depends_on": ["factor", "items"], "options": {"map_on": "items"}},
            ),
        )
    )
    assert [10, 20] == record.result


@pytest.mark.parametrize(
    ("value", "expected"),
    [((1, 2), [1, 2]), (range(2), [0, 1]), ([], []), ({5}, [5]), (iter([7]), [7])],
)
def test_any_iterable(value: Any, expected: list[int], threads: Any, flow: Any) -> None:
    """Whatever can be iterated can be mapped over, also if it is empty."""
    record = threads(flow(a=lambda: value, b=(abs, MAPPED)))
    assert expected == record.result
    assert len(expected) == record.stages[1].items


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "which is None"),
        ("text", "which is of type str"),
        (3, "which is of type int"),
        ({"a": 1}, r"which is of type dict.*list\(mapping.items\(\)\)"),
    ],
)
def test_not_iterable(value: Any, told: str, threads: Any, flow: Any) -> None:
    """Mapping over something that has no items fails the stage, naming both stages."""
    with pytest.raises(StageError, match=f"'b' maps over the result of stage 'a', {told}") as e:
        threads(flow(a=lambda: value, b=(abs, MAPPED)))
    assert ["finished", "failed"] == [stage.state for stage in e.value.run.stages]


def test_items_that_fail_while_they_are_made(threads: Any, flow: Any) -> None:
    """An iterable that raises fails the stage that maps over it with that error."""

    class Broken:
        def __iter__(self) -> Any:
            raise LookupError("no items today")

    with pytest.raises(StageError, match=r"stage 'b' .* failed: LookupError: no items today"):
        threads(flow(a=Broken, b=(abs, MAPPED)))


def test_first_failed_item_fails_the_stage(run: Any, flow: Any) -> None:
    """By default the stage fails with its first failed item, and the rest is not begun."""
    with pytest.raises(StageError, match=r"stage 'b' \(item 1\) of run") as caught:
        run(
            flow(a=lambda: [1, 0, *[1] * 100], b=(lambda item: 1 // item, MAPPED)),
            executor_options={**run.keywords["executor_options"], "workers": 1},
        )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    stage = caught.value.run.stages[1]
    assert ("failed", 2, 102) == (stage.state, stage.attempts, stage.items)
    assert {} == stage.failed_items


def test_skip_failed_items(run: Any, flow: Any) -> None:
    """With on_item_error: skip, failed items are left out of the result and noted."""
    fields = {**MAPPED, "options": {"on_item_error": "skip"}}
    record = run(flow(a=lambda: [2, 0, 1], b=(lambda item: 4 // item, fields)))
    assert "finished" == record.state
    assert [2, 4] == record.result
    assert [1] == list(record.stages[1].failed_items)
    assert "ZeroDivisionError" in record.stages[1].failed_items[1]


def test_retries_are_per_item(threads: Any, flow: Any) -> None:
    """Each item has its own retries, and its attempts count from 1."""

    def stubborn(item: int) -> tuple[int, int]:
        stage = get_run_context().stage
        assert stage is not None
        if stage.attempt <= item:
            raise ValueError(item)
        return item, stage.attempt

    record = threads(flow(a=lambda: [0, 1, 2], b=(stubborn, {**MAPPED, "retries": 2})))
    assert [(0, 1), (1, 2), (2, 3)] == record.result
    assert 6 == record.stages[1].attempts


@pytest.mark.extended
def test_mapping_over_a_mapped_stage(run: Any, flow: Any) -> None:
    """The list of a mapped stage can be mapped over again."""
    record = run(flow(a=lambda: [1, 2], b=(lambda n: n + 1, MAPPED), c=(lambda n: -n, MAPPED)))
    assert [-2, -3] == record.result


def test_many_items(threads: Any, flow: Any) -> None:
    """Thousands of items are no trouble."""
    record = threads(flow(a=lambda: range(3000), b=(lambda n: n, MAPPED), c=sum_of("b")))
    assert sum(range(3000)) == record.result


def sum_of(stage: str) -> Any:
    """A stage that sums the result of another."""
    return (sum, {"depends_on": stage})
