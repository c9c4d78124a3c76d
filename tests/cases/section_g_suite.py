"""The edges of the environment, and tests that a busy machine does not fail."""

import subprocess
import sys
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
