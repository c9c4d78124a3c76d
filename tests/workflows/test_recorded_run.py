"""A run of one's own with a record: others find it, and it ends with its block."""

from pathlib import Path

import pytest

from runstore import ObjectStore, bind, object_store, recorded_run
from runstore.errors import InvalidNameError, ObjectExistsError, StaleRunError


@pytest.fixture
def objects(store: Path) -> ObjectStore:
    """The store of the test, opened."""
    return ObjectStore(store)


def test_a_block_has_a_record(objects: ObjectStore) -> None:
    """While it goes on, and when it has ended: what it was given, read and wrote."""
    with recorded_run("n", config={"k": 1}, workflow="explore", store=objects) as ctx:
        assert "running" == objects.read_run(ctx.run.name, namespace="n").state
        object_store.put("x", [1, 2])
        object_store.get("x")
        later = bind(object_store.put)
    run = objects.read_run(ctx.run.name, namespace="n")
    (stage,) = run.stages
    assert ("finished", "explore", {"k": 1}) == (run.state, run.workflow, run.config)
    assert ["x"] == [use.name for use in stage.reads] == [use.name for use in stage.writes]
    with pytest.raises(StaleRunError, match="its run has ended"):
        later("y", 1)
    with recorded_run("n", store=objects):
        assert [1, 2] == object_store.get("x", workflow="explore")


def test_a_block_that_fails_says_so(objects: ObjectStore) -> None:
    """With the reason; the error goes on as it is."""
    with pytest.raises(ZeroDivisionError), recorded_run("n", "r1", store=objects):
        object_store.put("x", 1 / 0)
    run = objects.read_run("r1", namespace="n")
    assert ("failed", "ZeroDivisionError: division by zero") == (run.state, run.error)
    with pytest.raises(ObjectExistsError), recorded_run("n", "r1", store=objects):
        pass
    with pytest.raises(InvalidNameError):
        recorded_run("a/b")


def test_a_block_that_fails_tells_no_secret(objects: ObjectStore) -> None:
    """What it was given as a secret is not in the reason."""
    given = {"token": "s3cr3t-of-a-block"}
    with (
        pytest.raises(ConnectionError),
        recorded_run("n", "r1", input=given, store=objects) as ctx,
    ):
        raise ConnectionError(f"refused: {ctx.input['token']}")
    assert "ConnectionError: refused: (not shown)" == objects.read_run("r1", namespace="n").error


def test_a_deleted_block_leaves_nothing(objects: ObjectStore) -> None:
    """It is refused every write, and its record does not come back."""
    with recorded_run("n", "r1", store=objects):
        object_store.put("x", 1)
        objects.delete_run("r1", namespace="n", force=True)
        with pytest.raises(StaleRunError):
            object_store.put("x", 2)
    assert [] == objects.runs("n") + objects.runs_with_objects("n")
