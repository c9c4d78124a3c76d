"""Contexts of orchestrators: which is asked, what names a run, and that nothing is made up.

The orchestrators themselves are in tests/integrations; here a small one stands for them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.context.small import Small, small_orchestrator

from runstore import NoRunContextError, bind, get_run_context, object_store, run_context
from runstore.context import find_run_context, resolvers
from runstore.context.resolvers import Found, run_name
from runstore.errors import SettingsError
from runstore.keys import Place, key_of
from runstore.names import check_run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Small]:
    """An orchestrator that another package has brought a resolver for."""
    yield from small_orchestrator(monkeypatch, tmp_path)


RUN = Found(workflow="flow", run="flow.1", uid="1", stage="task", attempt=2, input={"n": 1})


def test_verbs_work_in_the_run_of_an_orchestrator(small: Small) -> None:
    """Nothing is passed or entered; another run has other objects."""
    small.now = RUN
    object_store.put("x", 1)
    ctx = get_run_context()
    assert ("flow.1", "flow", "small", "running") == (
        *(ctx.run.name, ctx.run.workflow, ctx.run.source),
        ctx.run.state,
    )
    assert ("task", 2, {"n": 1}, "default") == (
        *(ctx.stage and ctx.stage.name, ctx.stage and ctx.stage.attempt),
        *(ctx.input, ctx.namespace),
    )
    small.now = Found(workflow="flow", run="flow.2", uid="2")
    assert not object_store.exists("x")
    assert get_run_context().stage is None
    small.now = None
    with pytest.raises(NoRunContextError):
        object_store.put("x", 1)
    assert find_run_context() is None


def test_a_run_is_described_once(small: Small) -> None:
    """At each look-up the key is compared alone."""
    small.now = Found(workflow="flow", run="flow.3", uid="3")
    first = get_run_context()
    assert all(get_run_context() is first for _ in range(10))
    assert 1 == small.described


def test_an_entered_context_wins(small: Small) -> None:
    """What the code itself has entered is nearer; it takes the namespace of the outer one."""
    small.now = Found(workflow="flow", run="flow.1", uid="9", namespace="team")
    with run_context(run="own") as ctx:
        assert ("own", "team") == (get_run_context().run.name, ctx.namespace)
    assert "flow.1" == get_run_context().run.name


def test_it_can_be_bound(small: Small) -> None:
    """A context that was found is a value like any other."""
    small.now = RUN
    bound = bind(lambda: get_run_context().run.name)
    small.now = None
    assert "flow.1" == bound()


@pytest.mark.parametrize(("setting", "found"), [("auto", True), ("small", True), ("none", False)])
def test_a_setting_pins_or_forbids(
    small: Small, monkeypatch: pytest.MonkeyPatch, setting: str, found: bool
) -> None:
    """RUNSTORE_CONTEXTS names the resolvers that are asked, or none."""
    small.now = RUN
    monkeypatch.setenv("RUNSTORE_CONTEXTS", setting)
    assert found == (find_run_context() is not None)


def test_an_unknown_resolver_is_told(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that names none says which there are."""
    monkeypatch.setenv("RUNSTORE_CONTEXTS", "prefekt")
    with pytest.raises(SettingsError, match=r"'prefekt'.*'prefect'.*'small'"):
        get_run_context()


def test_nothing_is_imported() -> None:
    """A look-up outside of any run loads no orchestrator and no resolver."""
    code = """
import sys
from runstore.context import find_run_context
before = set(sys.modules)
assert find_run_context() is None
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


# As they are imported; the pins of the real ones keep them from being installed side by side.
_ORCHESTRATORS = (
    *("prefect", "dagster", "airflow", "metaflow", "kedro", "zenml", "flyte", "flytekit"),
    "temporalio",
)


def test_nothing_is_imported_of_those_that_are_installed(tmp_path: Path) -> None:
    """All orchestrators are on the path, and to import one fails: nobody does, or looks at one."""
    for name in _ORCHESTRATORS:
        (tmp_path / "there" / name).mkdir(parents=True)
        (tmp_path / "there" / name / "__init__.py").write_text(
            f"raise AssertionError('{name} was imported')"
        )
    code = f"""
import importlib, importlib.util, pkgutil, sys
from runstore import NoRunContextError, get_run_context, object_store, run_context
from runstore.context import resolvers
for found in pkgutil.iter_modules(resolvers.__path__):
    importlib.import_module(f"runstore.context.resolvers.{{found.name}}")
for call in (get_run_context, lambda: object_store.put("x", 1)):
    try:
        call()
    except NoRunContextError:
        continue
    raise AssertionError("a run was made up")
with run_context(store={str(tmp_path / "store")!r}):
    object_store.put("x", 1)
    assert object_store.exists("x") and object_store.get("x") == 1
for name in {_ORCHESTRATORS!r}:
    assert importlib.util.find_spec(name).origin.startswith({str(tmp_path)!r})
    assert name not in sys.modules, name
try:
    import {_ORCHESTRATORS[0]}
except AssertionError as exc:
    print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "there")},
        capture_output=True,
        text=True,
    )
    assert ("prefect was imported\n", "") == (done.stdout, done.stderr)


def test_the_orchestrators_are_those_that_are_asked() -> None:
    """The list above lacks none that has a resolver."""
    assert set(resolvers._OURS) <= set(_ORCHESTRATORS)


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=150)
_ids = st.one_of(_texts, st.from_regex(r"[a-z.:+_-]{1,6}", fullmatch=True))


@given(st.lists(st.tuples(_ids, _ids), min_size=2, max_size=6, unique=True))
def test_names_of_runs_are_valid_and_differ(pairs: list[tuple[str, str]]) -> None:
    """Whatever the ids are, they make names of runs, another one for each pair."""
    names = [check_run(run_name(*pair)) for pair in pairs]
    assert len(pairs) == len(set(names))
    for name in names:
        key_of(Place("n", name, "x"))


def test_usual_names_are_readable() -> None:
    """Ids of orchestrators stay as they are."""
    uid = "19bfeb6d-f1ab-4cba-9420-bcbeed86f286"
    assert f"main.{uid}" == run_name("main", uid)
    at = "manual__2026-11-28T09:33:51+00:00"
    assert f"dag.{at}" == run_name("dag", at)
    assert run_name("a.b", "c") != run_name("a", "b.c")
