"""C. Given-up code still acts: modules beside a workflow file."""

import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cases._case import case

from runstore import run_workflow

FLOW = """
metadata: {name: flow}
spec:
  stages:
    - {name: s, target: stages.stage}
"""


def project(folder: Path, **modules: str) -> Path:
    """Write a workflow and its modules, and return the path of its file."""
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "flow.yaml").write_text(FLOW)
    return folder / "flow.yaml"


@case("C4", "Two workflows at once in threads import each its own helper")
def two_at_once(folder: Path) -> None:
    """Both got the second one's."""
    stages = "def stage():\n    import helper\n    return helper.WHO"
    paths = [project(folder / who, stages=stages, helper=f"WHO = {who!r}") for who in "ab"]
    both = threading.Barrier(2)

    def start(path: Path) -> Any:
        def meet(event: Any) -> None:
            if (event.kind, event.state) == ("stage", "running"):
                both.wait(60)

        return run_workflow(path, store=folder / "store", on_event=meet).result

    with ThreadPoolExecutor(2) as pool:
        assert ["a", "b"] == list(pool.map(start, paths))


@case(
    "C4", "While a workflow runs, another thread imports its own utils, and can pickle its classes"
)
def another_thread(folder: Path) -> None:
    """It got the workflow's, and pickle failed then."""
    (folder / "utils.py").write_text("class Own: pass\n")
    sys.path.insert(0, str(folder))
    path = project(
        folder / "project",
        stages="import utils\ndef stage():\n    import utils as u\n    return [utils.WHO, u.WHO]",
        utils="WHO = 'the workflow'",
    )
    found: list[Any] = []

    def look() -> None:
        import utils

        found.append(type(pickle.loads(pickle.dumps(utils.Own()))) is utils.Own)

    def during(event: Any) -> None:
        if (event.kind, event.state) == ("stage", "running"):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()

    record = run_workflow(path, store=folder / "store", on_event=during)
    assert ["the workflow"] * 2 == record.result
    look()
    assert [True, True] == found


@case("C4", "What a run returned can be pickled afterwards")
def pickled_afterwards(folder: Path) -> None:
    """The class was not found, or was another's."""
    path = project(
        folder / "project",
        stages="import helper\ndef stage():\n    return helper.Model()",
        helper="class Model: pass\n",
    )
    result = run_workflow(path, store=folder / "store").result
    assert type(result) is type(pickle.loads(pickle.dumps(result)))


@case("C4", "Edited stage code is picked up by the next run in threads")
def edited(folder: Path) -> None:
    """It was not, and the process's own modules must not be touched for it."""
    path = project(folder / "project", stages="import helper\nstage = lambda: helper.N", helper="")
    found = []
    for number in (1, 2):
        (path.parent / "helper.py").write_text(f"N = {number}\n")
        os.utime(path.parent / "helper.py", (1_700_000_000, 1_700_000_000))
        found.append(run_workflow(path, store=folder / "store").result)
    assert [1, 2] == found
