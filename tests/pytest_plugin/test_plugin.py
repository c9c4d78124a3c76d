"""The plug-in for pytest: what it gives to tests, and that nobody else pays for it."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs.test_docs import blocks

ROOT = Path(__file__).parents[2]

_HEAD = """
import pytest, runstore
from runstore import get_run_context, object_store as current, stage, workflow
from runstore.errors import *
"""


@pytest.fixture
def run_tests(tmp_path):
    """Run a file of tests in another process; give its exit code and what it says."""

    def run(text, *more, head=_HEAD):
        (tmp_path / "test_it.py").write_text(head + text)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "RUNSTORE_"))}
        # The plug-in is named, so that it is also found where pytest does not look for others.
        env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "RUNSTORE_URL": str(tmp_path / "real")}
        words = ["-m", "pytest", "-p", "runstore.pytest_plugin", "-p", "no:cacheprovider"]
        words += ["-W", "error", "--strict-markers", "-q", "--rootdir", str(tmp_path), *more]
        done = subprocess.run(
            [sys.executable, *words, "test_it.py"],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not (tmp_path / "real").exists()
        return done.returncode, done.stdout

    return run


def test_the_page_about_testing_is_true(run_tests, tmp_path):
    """What docs/testing.md shows are tests as files, and all of them pass as they stand."""
    stages, *tests = blocks(ROOT / "docs" / "testing.md")
    (tmp_path / "stages.py").write_text(stages)
    code, said = run_tests("\n".join(tests), head="")
    assert (0, True) == (code, "8 passed" in said), said


def test_each_test_has_a_store_and_a_run_of_its_own(run_tests):
    """What the mark says is in the context; nothing of one test is seen by another."""
    code, said = run_tests("""
seen = []

@pytest.mark.runstore(config={"a": 1}, input={"b": 2}, namespace="other", run="r", workflow="w")
def test_marked(run_context, object_store):
    current.put("x", 1)
    ctx = get_run_context()
    assert ({"a": 1}, {"b": 2}) == (ctx.config, ctx.input)
    with pytest.raises(MissingInputError, match="mark.runstore.config={.n.: …}"):
        ctx.config["n"]
    assert ("other", "r") == (ctx.namespace, ctx.run.name)
    assert (ctx.run.workflow, ctx.run.source) == ("w", "pytest")
    assert ["x"] == [info.name for info in object_store.list()] and object_store.get("x") == 1
    seen.append(object_store.store)

@pytest.mark.runstore(namespace="other", run="r", pickle="deny")
def test_plain(run_context, object_store):
    assert [] == object_store.list()
    with pytest.raises(UnsafePickleError):
        current.put("x", object())
    with pytest.raises(RunStoreError):
        seen[0].at(namespace="other", run="r").get("x")

def test_inner(run_context):
    with runstore.run_context(config={"a": 2}) as inner:
        current.put("x", 1)
        assert inner.store == run_context.store
    assert not current.exists("x")

class TestOfClass:
    pytestmark = pytest.mark.runstore(config={"a": 1, "b": 1})

    @pytest.mark.runstore(namespace="n")
    def test_nearest(self, run_context):
        assert ("n", {"a": 1, "b": 1}) == (run_context.namespace, run_context.config)

def test_outside():
    with pytest.raises(NoRunContextError):
        get_run_context()
""")
    assert (0, True) == (code, "5 passed" in said), said


def test_requests_are_those_that_were_expected(run_tests):
    """Each kind is counted as on S3, also of parts; the message has the requests."""
    code, said = run_tests("""
pa = pytest.importorskip("pyarrow")

def test_kinds(object_store, assert_requests):
    with assert_requests(put=1):
        current.put("x", 1)
    with assert_requests(get=2):
        current.get("x"), current.stat("x")
    with assert_requests(head=1) as made:
        current.exists("x")
    assert [("head", "x")] == made
    with assert_requests(list=1):
        current.list()
    with assert_requests(put=1) as made:
        current.put("deep/t", pa.table({"a": [1]}), part=1)
    assert "deep/t" == made[0].name
    with assert_requests():
        pass
    with pytest.raises(AssertionError, match=r"expected put=2, made put=1\\n  put y$"):
        with assert_requests(put=2):
            current.put("y", 1)
    with pytest.raises(AssertionError, match="expected at most 1, made put=2"):
        with assert_requests(at_most=1):
            current.put("y", 1), current.put("z", 1)
    with pytest.raises(KeyError), assert_requests(put=5):
        raise KeyError

def test_wrong(assert_requests):
    wrong = [{"puts": 1}, {"put": -1}, {"put": True}, {"at_most": "1"}, {"at_most": 1, "put": 1}]
    for wrong in wrong:
        with pytest.raises(InvalidRequestError), assert_requests(**wrong):
            pass
""")
    assert (0, True) == (code, "2 passed" in said), said


def test_faults_happen_as_they_were_ordered(run_tests):
    """Which, how often and after how many; a wrong order is refused, an idle one fails the test."""
    code, said = run_tests("""
def test_order(object_store, faults):
    current.put("a", 1)
    faults.fail("get", "a", error=AccessDeniedError, after=1, times=2)
    assert 1 == current.get("a")
    for _ in range(2):
        with pytest.raises(AccessDeniedError, match="a.arrow"):
            current.get("a")
    assert 1 == current.get("a")
    faults.fail("put", "b*", error=OSError("mine"), times=None)
    for name in ("b1", "b2"):
        with pytest.raises(OSError, match="mine"):
            current.put(name, 1)
    faults.lose("delete", "a")
    with pytest.raises(IndeterminateWriteError):
        current.delete("a")
    assert not current.exists("a")

def test_wrong(faults):
    for call in (
        lambda: faults.fail("read"), lambda: faults.fail("get", 1), lambda: faults.lose("get"),
        lambda: faults.fail("get", error="x"), lambda: faults.fail("get", error=KeyboardInterrupt),
        lambda: faults.fail("get", times=0), lambda: faults.fail("get", after=-1),
    ):
        with pytest.raises(InvalidRequestError, match="^faults[.](fail|lose): "):
            call()

def test_idle(faults):
    faults.fail("put", "x")
""")
    assert (1, True) == (code, "3 passed, 1 error" in said), said
    assert "these faults never happened: fail('put', 'x')" in said


def test_a_workflow_runs_with_other_stages(run_tests, tmp_path):
    """Values and functions stand in for stages, also of a YAML file; other names are refused."""
    (tmp_path / "beside.py").write_text("def first(): raise OSError\ndef twice(x): return 2 * x\n")
    (tmp_path / "flow.yaml").write_text(
        "kind: workflow\nmetadata: {name: f}\nspec:\n  stages:\n"
        "  - {name: first, target: beside.first}\n"
        "  - {name: twice, target: beside.twice, type: parameterized,"
        " depends_on: first, options: {map_on: first}}\n"
    )
    code, said = run_tests("""
def test_stubs(workflow_runner, faults):
    assert [2, 4] == workflow_runner("flow.yaml", stubs={"first": [1, 2]}).result
    made = workflow_runner("flow.yaml", stubs={"first": lambda: [1], "twice": lambda x: -x})
    assert ([-1], "test", "pytest") == (made.result, made.namespace, made.source)
    assert [None] == workflow_runner("flow.yaml", stubs={"first": [1], "twice": None}).result
    with pytest.raises(StageError, match="OSError"):
        workflow_runner("flow.yaml")
    with pytest.raises(InvalidRequestError, match="no stage 'furst'; did you mean 'first'"):
        workflow_runner("flow.yaml", stubs={"furst": 1})
    for how in ({"executor_options": {"mode": "processes"}},):
        with pytest.raises(InvalidRequestError, match="memory of this process"):
            workflow_runner("flow.yaml", stubs={"first": [1]}, **how)
""")
    assert (0, True) == (code, "1 passed" in said), said


def test_who_does_not_use_it_pays_nothing(run_tests):
    """Neither pyarrow nor any part of runstore is loaded; assertions of ours stay as they are."""
    text = """
import sys

def test_loaded(pytestconfig):
    heavy = {"pyarrow", "numpy", "pydantic", "pandas", "runstore.store", "runstore.context"}
    assert [] == sorted(heavy & set(sys.modules))
    assert "runstore" not in pytestconfig.pluginmanager.rewrite_hook._must_rewrite
"""
    code, said = run_tests(text, head="")
    assert (0, True) == (code, "1 passed" in said), said


def test_pytest_finds_it():
    """The entry point names the module."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"runstore": "runstore.pytest_plugin"} == project["entry-points"]["pytest11"]
