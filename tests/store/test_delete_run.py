import pytest

from runstore.context import new_run
from runstore.errors import InvalidNameError, ObjectNotFoundError


def ended(workflow, name):
    """Make the record of a run that is over."""
    run = new_run(workflow, namespace="ns", name=name)
    return run.model_copy(update={"state": "finished"})


def test_a_deleted_run_is_gone_with_its_record(store):
    """Neither its objects nor its record are found, and its neighbours are as they were."""
    for name in ("prod", "prod-2"):
        store.write_run(ended("w", name))
        store.at(namespace="ns", run=name).put("a/b", name)
    store.at(namespace="ns").put("shared", 1, scope="namespace")
    store.delete_run("prod", namespace="ns")
    assert ["prod-2"] == [run.name for run in store.runs("ns")]
    assert ["prod-2"] == store.runs_with_objects("ns")
    assert "prod-2" == store.at(namespace="ns", run="prod-2").get("a/b")
    assert 1 == store.at(namespace="ns").get("shared", scope="namespace")


def test_either_half_of_a_run_can_be_deleted(store):
    """A run with objects and no record, or a record and no objects, is a run to delete."""
    store.at(namespace="ns", run="bare").put("x", 1)
    store.write_run(ended("w", "empty"))
    for name in ("bare", "empty"):
        store.delete_run(name, namespace="ns")
    assert [] == store.runs_with_objects("ns")
    assert [] == store.runs("ns")


def test_deleting_no_run_is_an_error(store):
    """Where there is nothing of that name, nothing is deleted and the caller is told."""
    with pytest.raises(ObjectNotFoundError):
        store.delete_run("none", namespace="ns")
    with pytest.raises(InvalidNameError):
        store.delete_run("_shared", namespace="ns")
