import re
from datetime import UTC, datetime, timedelta

import pytest

from runstore.context import new_run, new_run_name
from runstore.errors import InvalidNameError
from runstore.keys import scope_folder


def test_a_run_name_tells_workflow_and_time():
    """Workflow, UTC time to the millisecond, and a random part."""
    at = datetime(2026, 11, 22, 23, 15, 1, 987654, UTC)
    assert re.fullmatch(r"train-20261122T231501\.987Z-[0-9a-f]{8}", new_run_name("train", at))


def test_run_names_sort_by_time():
    """Names of later runs come later."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    names = [new_run_name("w", start + timedelta(milliseconds=37 * i)) for i in range(100)]
    assert sorted(names) == names


def test_runs_of_one_millisecond_differ():
    """The random part keeps runs apart that start together."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert 1000 == len({new_run_name("w", at) for _ in range(1000)})


@pytest.mark.parametrize("workflow", ["a b/c", "_x", "..", "é" * 200, "w" * 500, "", "a:b"])
def test_any_workflow_name_gives_a_run_name(workflow):
    """Whatever a workflow is called, its runs can be keys."""
    assert scope_folder("dev", new_run_name(workflow))


def test_an_own_run_name_is_checked():
    """A name of the caller's own keeps the rules; orchestrators' ids do."""
    run = new_run("w", namespace="dev", name="scheduled__2026-11-22T00:00:00+00:00")
    assert ("scheduled__2026-11-22T00:00:00+00:00", "running", "w") == (
        run.name,
        run.state,
        run.workflow,
    )
    with pytest.raises(InvalidNameError):
        new_run("w", namespace="dev", name="a/b")
