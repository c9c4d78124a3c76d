"""Whose module an import statement and pickle get by a plain name, while runs go on and after."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore

LACKING = """
    def stage():
        try:
            import helper
        except ModuleNotFoundError as exc:
            return [str(exc), exc.name]
        return helper.WHO
    """


def test_an_import_statement_gets_no_module_of_a_run_that_is_over(
    threads: Any, folder: Any, store: Path
) -> None:
    """What a workflow lacks it does not get from one that ran before, nor from what was read."""
    first = folder(
        "first",
        stages="""
            from runstore import object_store
            def stage():
                import helper
                object_store.put("value", helper.Own())
                return helper.WHO
            """,
        helper="WHO = 'first'\nclass Own: pass\n",
    )
    second = folder("second", stages=LACKING)
    run = threads(first)
    assert "first" == run.result
    lacking = ["No module named 'helper'", "helper"]
    assert lacking == threads(second).result
    value = ObjectStore(store).at(namespace=run.namespace, run=run.name).get("value")
    assert "Own" == type(value).__name__
    assert lacking == threads(second).result


def test_an_import_statement_gets_no_module_of_another_run(threads: Any, folder: Any) -> None:
    """What a workflow lacks it does not get from one that goes on, loaded there or not yet."""
    first = folder("first", stages="def stage():\n    pass", helper="WHO = 'first'\n")
    loaded = folder("loaded", stages="import helper\ndef stage():\n    pass", helper="WHO = 1\n")
    second = folder("second", stages=LACKING)
    found = []

    def look(event: Any) -> None:
        if (event.kind, event.state) == ("stage", "running"):
            found.append(threads(second).result)

    threads(first, on_event=look)
    threads(loaded, on_event=look)
    assert [["No module named 'helper'", "helper"]] * 2 == found


@pytest.mark.parametrize("dumps", ["pickle.dumps", "ForkingPickler.dumps"])
def test_pickle_in_a_stage_once_another_run_is_over(dumps: str, threads: Any, folder: Any) -> None:
    """Once the run that had the names first is over, pickle finds the other run's modules."""
    both = {"helper": "class Own: pass\n", "pack/__init__.py": "", "pack/sub": "class Own: pass\n"}
    first = folder("first", stages="import helper, pack.sub\ndef stage():\n    pass", **both)
    second = folder(
        "second",
        stages=f"""
            import pickle
            from multiprocessing.reduction import ForkingPickler
            import helper, pack.sub
            def stage():
                for own in (helper.Own, pack.sub.Own):
                    assert pickle.loads({dumps}(own)) is own
                return True
            """,
        **both,
    )
    begun, loaded = threading.Event(), threading.Event()

    def hold(event: Any) -> None:
        if (event.kind, event.state) == ("stage", "running"):
            begun.set()
            assert loaded.wait(100)

    def go_on(event: Any) -> None:
        if (event.kind, event.state) == ("run", "running"):
            loaded.set()
            one.join(100)

    one = threading.Thread(target=threads, args=(first,), kwargs={"on_event": hold})
    one.start()
    assert begun.wait(100)
    assert threads(second, on_event=go_on).result
    assert {"helper", "pack", "pack.sub"}.isdisjoint(sys.modules)
