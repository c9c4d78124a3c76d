"""The edges of the environment, and tests that a busy machine does not fail."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.cases._case import case

_STAGE_THAT_FAILS = """
from runstore import run_workflow
from runstore.errors import StageError

def build():
    table = {}
    return table["missing"]

stages = [{"name": "build", "target": build}]
try:
    run_workflow(
        {"kind": "workflow", "metadata": {"name": "w"}, "spec": {"stages": stages}},
        executor_options={"mode": "processes"},
    )
except StageError as exc:
    print(exc.traceback)
"""


@case("G1", "the traceback of a stage of a script names its file and line, from any process")
def traceback_of_a_stage_by_value(here: Path) -> None:
    script = here / "script.py"
    script.write_text(_STAGE_THAT_FAILS)
    shown = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    expected = f'File "{script}", line 7, in build\n    return table["missing"]\n'
    assert expected in shown.stdout, shown


@case("G1", "runstore[xarray] installs xarray, and not Ray")
def the_extra_of_xarray(here: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (required,) = project["optional-dependencies"]["xarray"]
    assert required.startswith("xarray"), required


@case("G1", "runstore.testing without pytest names the line that installs its extra")
def suites_without_their_extra(here: Path) -> None:
    code = (
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'pytest' else found(name, *rest)\n"
        "import runstore.testing\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "MissingExtraError" in shown, shown
    assert "pip install 'runstore[testing]'" in shown, shown


@case("G1", "string views are stored also where Arrow cannot say how large they are")
def views_without_a_size(here: Path) -> None:
    import pyarrow as pa

    from runstore import ObjectStore
    from runstore.codecs._arrow import size_of

    class Old:
        """A column of pyarrow 21, in which views have no nbytes."""

        def __init__(self, column: pa.Array) -> None:
            self.columns = [self]
            self.column = column

        @property
        def nbytes(self) -> int:
            raise pa.ArrowTypeError("Extracting byte ranges not supported for type string_view")

        def get_total_buffer_size(self) -> int:
            return self.column.get_total_buffer_size()

    words = pa.array(["a", "b" * 40, None], pa.string_view())
    assert words.get_total_buffer_size() == size_of(Old(words))
    view = ObjectStore(here / "store").at(namespace="n", run="r")
    view.put("x", pa.table({"a": words}))
    assert pa.table({"a": words}) == view.get("x")


@case("G2", "kills of a writer come amid a write, not at a moment of the clock", seconds=600)
def kills_amid_a_put(here: Path) -> None:
    from tests.store.test_crash import _kills

    assert _kills(here, 3) > 0
