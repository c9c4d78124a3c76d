"""Fixtures to test stages with: a run of one's own on an empty store in memory, no server.

pytest finds this plug-in by its entry point, in every environment that has runstore. It loads
nothing until a fixture is used. ``docs/testing.md`` shows how stages are tested with it.

    def test_build(run_context, object_store):
        build()
        assert len(object_store.get("features")) == 10
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runstore.context import WorkflowRunContext
    from runstore.pytest_plugin._faults import Faults
    from runstore.pytest_plugin._place import TestPlace
    from runstore.pytest_plugin._requests import Requests
    from runstore.pytest_plugin._workflow import WorkflowRunner
    from runstore.store import StoreView

__all__ = ["assert_requests", "faults", "object_store", "run_context", "workflow_runner"]

_MARKER = (
    "runstore(namespace='test', run=None, config=None, input=None, workflow='test', "
    "pickle='allow'): what the fixture `run_context` enters"
)
_KNOWN = ("namespace", "run", "config", "input", "workflow", "pickle")


def pytest_addoption(parser: Any, pluginmanager: Any) -> None:
    """Keep pytest from rewriting the assertions of all of runstore, which takes seconds once.

    It does so with the packages of its plug-ins. This is no option: the hook is called early.
    """
    hook = getattr(pluginmanager, "rewrite_hook", None)
    rewritten = getattr(hook, "_must_rewrite", None)
    if isinstance(rewritten, set):
        rewritten.discard("runstore")


def pytest_configure(config: Any) -> None:
    """Make the marker ``runstore`` known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def _runstore_place() -> "Iterator[TestPlace]":
    from runstore.pytest_plugin._place import TestPlace

    place = TestPlace()
    try:
        yield place
    finally:
        place.close()
    if left := place.faults.left():
        pytest.fail(f"these faults never happened: {', '.join(left)}", pytrace=False)


@pytest.fixture
def run_context(request: Any, _runstore_place: "TestPlace") -> "WorkflowRunContext":
    """The context of a run of this test's own, on an empty store in memory, for all of the test.

    The mark ``pytest.mark.runstore(config={…}, input={…}, namespace=…, run=…, workflow=…,
    pickle=…)`` says what is in it.
    """
    from runstore.pytest_plugin._entering import entered

    given = {}
    for mark in reversed(list(request.node.iter_markers("runstore"))):
        given.update(mark.kwargs)
        if mark.args or not mark.kwargs.keys() <= set(_KNOWN):
            raise pytest.UsageError(f"the mark runstore takes {', '.join(_KNOWN)}, by name")
    ctx, leave = entered(_runstore_place, **given)
    request.addfinalizer(leave)  # noqa: PT021 - a generator would hide the run from the test
    return ctx


@pytest.fixture
def object_store(run_context: "WorkflowRunContext") -> "StoreView":
    """The objects of the run that `run_context` has entered, to put inputs and look at results."""
    from runstore.store import ObjectStore

    store = ObjectStore.from_address(run_context.store)
    return store.at(namespace=run_context.namespace, run=run_context.run.name)


@pytest.fixture
def assert_requests(_runstore_place: "TestPlace") -> "Requests":
    """What checks how often a block asks the store, as ``put=1``; see `Requests`."""
    return _runstore_place.requests


@pytest.fixture
def faults(_runstore_place: "TestPlace") -> "Faults":
    """Lets requests fail: ``faults.fail("put", "features")``; see `Faults`."""
    return _runstore_place.faults


@pytest.fixture
def workflow_runner(_runstore_place: "TestPlace") -> "WorkflowRunner":
    """Runs workflows on the test's own store, with stages replaced; see `WorkflowRunner`."""
    from runstore.pytest_plugin._workflow import WorkflowRunner

    return WorkflowRunner(_runstore_place)
