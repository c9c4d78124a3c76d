"""A real Jupyter kernel: what cells show, and the run that they are in."""

import re
from functools import partial

import pytest

from runstore import ObjectStore

strip_ansi = partial(re.sub, r"\x1b\[[0-9;]*m", "")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

pytestmark = [
    pytest.mark.extended,
    # Of Jupyter's own parts, which leave sockets and loops behind.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CELLS = {
    "enter": "%load_ext runstore\n"
    "%run_context --namespace dev --run r1 --config rate=0.5 --input n=3",
    "put": "from runstore import get_run_context, object_store\n"
    "object_store.put('x', {'<script>alert(1)</script>': 1})\n"
    "ctx = get_run_context()\n"
    "(ctx.namespace, ctx.run.name, ctx.run.source, ctx.config['rate'], ctx.input['n'])",
    "same": "get_run_context().run.name == ctx.run.name",
    "async": "import asyncio\nawait asyncio.sleep(0)\nawait asyncio.create_task(asyncio.sleep(0))\n"
    "get_run_context().run.name",
    "store": "from runstore import ObjectStore\nstore = ObjectStore()\nstore",
    "view": "view = store.at(namespace='dev', run='r1')\nview",
    "list": "view.list()",
    "context": "get_run_context()",
    "module": "object_store",
    "mapping": "(view['x'] == object_store.get('x'), 'x' in view, 'y' in view, len(view), [*view])",
    "keys": "get_ipython().complete('view[\\'')[1]",
    "names": "[n for n in get_ipython().complete('view.')[1] if n.startswith('view._')]",
    "cell": "%%run_context --namespace other --run r2\n"
    "object_store.put('y', 1)\nget_run_context().namespace",
    "back": "get_run_context().namespace",
    "mistake": "%run_context --nonsense",
    "left": "%run_context --end\nfrom runstore import NoRunContextError\n"
    "try:\n    get_run_context()\nexcept NoRunContextError:\n    print('outside')",
    "none": "%run_context",
    "still": "try:\n    get_run_context()\nexcept NoRunContextError:\n    print('outside')",
    "record": "%run_context --record --namespace dev --run rec1 --workflow explore",
    "recorded": "object_store.put('z', 1)\n"
    "[(run.name, run.state, run.source) for run in store.runs('dev')]",
    "ended": "%run_context --end\n"
    "[run] = store.runs('dev')\n(run.state, [use.name for use in run.stages[0].writes])",
    "fails": "%%run_context --record --namespace dev --run rec2\nobject_store.put('z', 1)\n1 / 0",
    "fails early": "%%run_context --namespace dev\n1 +",
    "failed": "run = store.read_run('rec2', namespace='dev')\n(run.state, run.error)",
    "progress": "import runstore\nfrom runstore.steps import _notebook, reporting\n"
    "_notebook._PATIENCE = _notebook._PAUSE = 0\n"
    "with runstore.progress(), reporting('long work', 2) as report:\n    report.add()",
    "unload": "%unload_ext runstore\n'run_context' in get_ipython().magics_manager.magics['line']",
    "at exit": "%load_ext runstore\n%run_context --record --namespace dev --run rec3",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run the cells in one kernel and return what each has shown, by name."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    found = {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}
    return found | {"folder": folder}


def text(outputs):
    return "".join(
        one.get("text") or one.get("data", {}).get("text/plain", "") or str(one.get("evalue", ""))
        for one in outputs
    )


def html(outputs):
    return outputs[-1]["data"]["text/html"]


def test_the_cells_are_in_the_run(outputs):
    """After %run_context every cell is in the same run, also one that awaits."""
    assert "dev/r1" in html(outputs["enter"])
    assert "('dev', 'r1', 'notebook', 0.5, 3)" == text(outputs["put"])
    assert "True" == text(outputs["same"])
    assert "'r1'" == text(outputs["async"])


def test_a_cell_can_have_a_run_of_its_own(outputs):
    """%%run_context is for its cell only; afterwards it is the notebook's run again."""
    assert "'other'" == text(outputs["cell"])
    assert "'dev'" == text(outputs["back"])


def test_a_run_is_left(outputs):
    """%run_context --end leaves the run, in its own cell and in the next; the magic can go."""
    assert "outside\n" == text(outputs["left"])
    assert "no run is entered: %run_context --namespace NS enters one\n" == text(outputs["none"])
    assert "outside\n" == text(outputs["still"])
    assert "False" == text(outputs["unload"])


def test_a_run_of_cells_can_have_a_record(outputs):
    """It is listed while it goes on, and says what was written, and why a cell failed."""
    assert "[('rec1', 'running', 'notebook')]" == text(outputs["recorded"])
    assert "('finished', ['z'])" == text(outputs["ended"])
    assert "('failed', 'ZeroDivisionError: division by zero')" == text(outputs["failed"])


@pytest.mark.parametrize(
    ("cell", "name", "lines"),
    [("fails", "ZeroDivisionError", "1 / 0"), ("fails early", "SyntaxError", "1 +")],
)
def test_a_cell_that_fails_shows_its_own_error_alone(outputs, cell, name, lines):
    """Once, with its traceback; the cell ends with it, so that the cells after it do not run."""
    errors = [one for one in outputs[cell] if one["output_type"] == "error"]
    assert {name} == {one["ename"] for one in errors}
    assert [True, False] == [bool(one["traceback"]) for one in errors]
    assert lines in strip_ansi("".join(errors[0]["traceback"]))
    assert errors[0]["evalue"] == errors[1]["evalue"]
    assert "UsageError" not in str(outputs[cell])


def test_a_record_ends_with_the_kernel(outputs):
    """A run that nobody has ended has finished when the kernel was shut down."""
    store = ObjectStore(outputs["folder"] / ".runstore")
    assert "finished" == store.read_run("rec3", namespace="dev").state


def test_a_mistake_is_one_line(outputs):
    """A wrong option is told without a traceback, and the run goes on."""
    told = text(outputs["mistake"])
    assert "unrecognized arguments: --nonsense" in told
    assert "Traceback" not in told


def test_values_show_as_tables(outputs):
    """Stores, views, listings, contexts and the module show where they are and what they hold."""
    assert "<td" in html(outputs["store"])
    assert ">dev</td>" in html(outputs["store"])
    for name in ("view", "list", "module"):
        assert ">x</td>" in html(outputs[name])
    assert "rate=0.5" in html(outputs["context"])


def test_progress_is_an_output_that_goes(outputs):
    """A long operation has one output, which is empty when it is over."""
    [shown] = outputs["progress"]
    assert ("display_data", "") == (shown["output_type"], shown["data"]["text/html"])


def test_views_are_mappings(outputs):
    """Look-up, `in`, len and iteration; Tab offers names, and no private attributes."""
    assert "(True, True, False, 1, ['x'])" == text(outputs["mapping"])
    assert "x" in text(outputs["keys"])
    assert "[]" == text(outputs["names"])
