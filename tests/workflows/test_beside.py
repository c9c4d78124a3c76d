"""Each workflow's modules are its own, and nobody else's: at once, after edits, in pickles."""

import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runstore import ObjectStore, StageError


@pytest.fixture(autouse=True)
def _no_trace() -> Any:
    """Check that a test leaves the process's modules and paths as they were."""
    names = ("stages", "helper", "utils", "pack")
    before = {name: sys.modules.get(name) for name in names}
    yield
    assert before == {name: sys.modules.get(name) for name in names}
    assert [] == [entry for entry in sys.path if entry.endswith("/.")]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Any:
    """Write modules of the process's own, importable by all, and forget them afterwards."""

    def write(**files: str) -> None:
        path = tmp_path / "elsewhere"
        path.mkdir()
        for name, text in files.items():
            (path / f"{name}.py").write_text(textwrap.dedent(text))
        sys.path.insert(0, str(path))

    yield write
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path / "elsewhere")]
    for name, module in list(sys.modules.items()):
        if str(tmp_path / "elsewhere") in str(getattr(module, "__file__", "")):
            del sys.modules[name]


LAZY = """
    import threading
    from runstore import get_run_context
    def stage():
        import helper
        found = [helper.WHO]
        thread = threading.Thread(target=lambda: found.append(__import__("helper").WHO))
        thread.start(); thread.join()
        return found
    """


def test_two_at_once(run: Any, folder: Any) -> None:
    """Two workflows that run at once each import their own helper, in stages and threads, too."""
    paths = [folder(who, stages=LAZY, helper=f"WHO = {who!r}") for who in ("one", "two")]
    both = threading.Barrier(2)

    def start(path: Path) -> Any:
        def meet(event: Any) -> None:
            if (event.kind, event.state) == ("stage", "running"):
                both.wait(60)

        return run(path, on_event=meet).result

    with ThreadPoolExecutor(2) as pool:
        assert [["one", "one"], ["two", "two"]] == list(pool.map(start, paths))


def test_another_threads_import(threads: Any, folder: Any, elsewhere: Any) -> None:
    """While a workflow with a utils.py runs, other code imports the utils that is its own."""
    elsewhere(utils="class Own: pass\n")
    path = folder(
        "project",
        stages="import utils\ndef stage():\n    return utils.WHO",
        utils="WHO = 'the workflow'",
    )
    found = []

    def look(event: Any) -> None:
        if event.kind == "stage":
            import utils

            found.append(pickle.loads(pickle.dumps(utils.Own())))
            found.append(sys.modules["utils"] is utils)

    assert "the workflow" == threads(path, on_event=look).result
    assert [True, True] == found[1::2]
    assert ["Own", "Own"] == [type(value).__name__ for value in found[::2]]


def test_a_module_that_the_process_has_loaded(threads: Any, folder: Any, elsewhere: Any) -> None:
    """A module of the process with the same name stays where it is, and what it is, throughout."""
    elsewhere(utils="WHO = 'the process'")
    import utils  # type: ignore[import-not-found]

    path = folder(
        "project",
        stages="""
            import sys
            def stage():
                import utils
                return utils.WHO, sys.modules["utils"].WHO
            """,
        utils="WHO = 'the workflow'",
    )
    assert ("the workflow", "the process") == threads(path).result
    assert utils is sys.modules["utils"]


VALUES = """
    from __future__ import annotations
    import enum
    from dataclasses import dataclass
    from typing import ClassVar, NamedTuple
    import pydantic

    @dataclass
    class Model:
        kind: ClassVar[str] = "model"
        size: int = 3
        def grown(self) -> Model:
            return Model(self.size + 1)

    class Pair(NamedTuple):
        left: Model
        right: int

    class Side(enum.Enum):
        LEFT = 1

    class Setting(pydantic.BaseModel):
        pair: Side
        class Inner:
            pass

    class OwnError(Exception):
        pass
    """

KEEPS = """
    import helper
    from runstore import object_store
    def stage():
        value = [helper.Model().grown(), helper.Pair(helper.Model(), 1), helper.Side.LEFT,
                 helper.Setting(pair=helper.Side.LEFT), helper.Setting.Inner, {"k": helper.Model}]
        object_store.put("value", value)
        object_store.put("value.pkl", value)
        for name in ("value", "value.pkl"):
            back = object_store.get(name)
            assert back[:4] == value[:4], back
            assert isinstance(back[0], helper.Model)
            assert back[4] is helper.Setting.Inner and back[5]["k"] is helper.Model
        return value[0]
    """


@pytest.mark.extended
@pytest.mark.parametrize("loaded", [None, "unloaded", "loaded"])
def test_classes_of_a_helper(
    run: Any, folder: Any, elsewhere: Any, loaded: str | None, store: Path
) -> None:
    """Classes of a helper are defined, stored, returned and raised, whoever else has its name."""
    if loaded is not None:
        elsewhere(helper="class Model:\n    'Another one.'\n")
    if loaded == "loaded":
        __import__("helper")
    result = run(folder("project", stages=KEEPS, helper=VALUES), run="r1").result
    if loaded is None:  # plain pickle goes by the name alone
        again = pickle.loads(pickle.dumps(result))
        assert (result, type(result)) == (again, type(again))
        del sys.modules["helper"]  # pickle has put it there
        with pytest.raises(ModuleNotFoundError):
            import helper  # type: ignore[import-not-found] # noqa: F401 - the run is over
    assert ("Model", "helper", 4) == (
        type(result).__name__,
        type(result).__module__,
        result.size,
    )
    path = folder(
        "failing",
        stages="import helper\ndef stage():\n    raise helper.OwnError('no')",
        helper=VALUES,
    )
    with pytest.raises(StageError, match=r"failed: helper\.OwnError: no") as caught:
        run(path)
    assert "OwnError" == type(caught.value.__cause__).__name__


def test_stored_classes_are_found_by_their_plain_name(
    threads: Any, folder: Any, store: Path
) -> None:
    """What a stage stored can be loaded by any program that has the helper on its path."""
    path = folder("project", stages=KEEPS, helper=VALUES)
    threads(path, run="r1")
    program = (
        "import sys, pickle; from runstore import ObjectStore; import helper; "
        "view = ObjectStore(sys.argv[1]).at(namespace='default', run='r1'); "
        "assert isinstance(view.get('value')[0], helper.Model)"
    )
    subprocess.run([sys.executable, "-c", program, store], check=True, cwd=path.parent)


def test_plain_pickle_inside_a_stage(threads: Any, folder: Any) -> None:
    """Pickle by name works in a stage, also in processes that it starts itself."""
    path = folder(
        "project",
        stages="""
            import multiprocessing, pickle
            from runstore import ContextProcessPoolExecutor
            import helper
            def stage():
                assert isinstance(pickle.loads(pickle.dumps(helper.Model())), helper.Model)
                spawn = multiprocessing.get_context("spawn")
                with ContextProcessPoolExecutor(1, mp_context=spawn) as pool:
                    return pool.submit(helper.Model.grown, helper.Model()).result().size
            """,
        helper=VALUES,
    )
    assert 4 == threads(path).result


@pytest.mark.extended
@pytest.mark.parametrize("run_from_there", [False, True])
def test_edits_are_picked_up(
    run: Any, folder: Any, run_from_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run has the code as it stands then, also if the program is beside it."""
    path = folder("project", stages="import helper\ndef stage():\n    return helper.F()", helper="")
    if run_from_there:
        monkeypatch.syspath_prepend(str(path.parent))
    found = []
    for text in ("1", "2", "3"):
        (path.parent / "helper.py").write_text(f"def F():\n    return {text}\n")
        os.utime(path.parent / "helper.py", (1_700_000_000 + int(text), 1_700_000_000 + int(text)))
        found.append(run(path).result)
    assert [1, 2, 3] == found
    for name in ("stages", "helper"):
        sys.modules.pop(name, None)  # an ordinary import has found them, too


def test_an_edit_of_the_same_size_and_time(threads: Any, folder: Any) -> None:
    """In threads it is the content that counts."""
    path = folder("project", stages="import helper\ndef stage():\n    return helper.N", helper="")
    found = []
    for text in ("1", "2"):
        (path.parent / "helper.py").write_text(f"N = {text}\n")
        os.utime(path.parent / "helper.py", (1_700_000_000, 1_700_000_000))
        found.append(threads(path).result)
    assert [1, 2] == found


def test_a_module_of_the_process_is_not_touched_by_an_edit(
    threads: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the program has imported itself is used as long as its file stays as it is."""
    path = folder("project", stages="class Model: pass\ndef stage():\n    return Model()")
    monkeypatch.syspath_prepend(str(path.parent))
    import stages  # type: ignore[import-not-found]

    try:
        assert isinstance(threads(path).result, stages.Model)
        (path.parent / "stages.py").write_text("def stage():\n    return 'edited'\n")
        assert "edited" == threads(path).result
        assert stages is sys.modules["stages"]
        assert isinstance(stages.stage(), stages.Model)
    finally:
        del sys.modules["stages"]


PACKAGE = {
    "pack/__init__.py": """
        from . import first
        from .inner import deep
        __all__ = ["second"]
        """,
    "pack/first.py": "from pack import second\nWHO = 'first'\n",
    "pack/second.py": "from . import first\nimport pack.inner.deep as deep\nWHO = 'second'\n",
    "pack/inner/__init__.py": "",
    "pack/inner/deep.py": "from .. import first\nDEEP = __name__\n",
    "space/part.py": "from pack import *\nWHO = second.WHO\n",
}


@pytest.mark.parametrize("conflict", [False, True])
def test_packages(run: Any, folder: Any, elsewhere: Any, conflict: bool) -> None:
    """Every way to import from packages works: relative, circular, by star, by alias."""
    if conflict:
        elsewhere(pack="")
        __import__("pack")
    path = folder(
        "project",
        stages="""
            import pack.inner.deep, pack.second as s
            from pack import first
            from pack.inner import deep
            import space.part
            PACK = pack
            def stage():
                try:
                    import pack.missing
                except ModuleNotFoundError as exc:
                    missing = [str(exc), exc.name]
                found = [s.WHO, first.WHO, deep.DEEP, PACK.inner.deep is deep, space.part.WHO]
                return [*found, missing]
            """,
        **PACKAGE,
    )
    expected = ["second", "first", "pack.inner.deep", True, "second"]
    missing = ["No module named 'pack.missing'", "pack.missing"]
    assert json.dumps([*expected, missing]) == json.dumps(run(path).result)


def test_the_traceback_names_file_and_line(run: Any, folder: Any) -> None:
    """A stage's error shows the workflow's own file, line and source."""
    path = folder(
        "project",
        stages="import helper\ndef stage():\n    helper.fail()\n",
        helper="""
        def fail():
            raise LookupError("no luck")
        """,
    )
    with pytest.raises(StageError) as caught:
        run(path)
    told = caught.value.traceback
    assert f'File "{path.parent / "helper.py"}", line 3, in fail' in told
    assert 'raise LookupError("no luck")' in told
    assert "runstore_beside" not in told


def test_what_is_not_in_the_folder_comes_from_where_it_always_does(run: Any, folder: Any) -> None:
    """Other imports of a stage are ordinary ones, also those that need the module's name."""
    path = folder(
        "project",
        stages="""
            import json, importlib, logging, os.path
            import xml.dom.minidom as dom
            from collections import abc
            def stage():
                helper = importlib.import_module("helper")
                return [helper.WHO, __name__, helper.__name__, logging.getLogger(__name__).name,
                        importlib.reload(helper) is helper, dom.__name__, os.path.__name__]
            """,
        helper="WHO = 'helper'\n",
    )
    expected = ["helper", "stages", "helper", "stages", True, "xml.dom.minidom", "posixpath"]
    assert expected == run(path).result


def test_a_module_that_replaces_itself(threads: Any, folder: Any) -> None:
    """A module may put another object into its place, as some do."""
    path = folder(
        "project",
        stages="""
            import helper
            def stage():
                import helper as again
                return [helper.WHO, again is helper]
            """,
        helper="""
            import sys, types
            other = types.ModuleType("helper")
            other.WHO = "other"
            sys.modules[__name__] = other
            """,
    )
    assert ["other", True] == threads(path).result


@pytest.mark.extended
def test_folders_do_not_pile_up(threads: Any, folder: Any) -> None:
    """Of folders that no run uses, the modules of the last 32 are kept."""
    from runstore.beside._registry import _registry

    for number in range(40):
        threads(folder(f"project{number}", stages="def stage(): pass"))
    gc.collect()
    assert 32 == len(_registry.known)
    roots = {name.partition(".")[0] for name in sys.modules if name.startswith("_runstore_beside_")}
    assert set(_registry.known) == roots


def test_a_folder_that_is_a_link(threads: Any, folder: Any, tmp_path: Path) -> None:
    """A folder reached by two paths is one folder."""
    path = folder("project", stages="N = []\ndef stage():\n    N.append(1)\n    return len(N)")
    (tmp_path / "link").symlink_to(path.parent)
    assert [1, 2] == [threads(path).result, threads(tmp_path / "link" / "flow.yaml").result]


def test_a_failed_import_can_be_mended(threads: Any, folder: Any) -> None:
    """A module that failed is loaded anew by the next run, and left no half of it behind."""
    from runstore.errors import InvalidWorkflowError

    path = folder(
        "project", stages="import helper\ndef stage():\n    return helper.N", helper="1 / 0"
    )
    with pytest.raises(InvalidWorkflowError, match="importing 'stages' failed: ZeroDivisionError"):
        threads(path)
    (path.parent / "helper.py").write_text("N = 1\n")
    assert 1 == threads(path).result


def test_a_namespace_folder_gives_way_to_a_package(threads: Any, folder: Any) -> None:
    """A folder without __init__.py does not hide an installed package of its name."""
    path = folder(
        "project",
        stages="import numpy\ndef stage():\n    return int(numpy.arange(3).sum())",
        **{"numpy/notes.py": ""},
    )
    assert 3 == threads(path).result


def test_module_objects_of_a_store_view(threads: Any, folder: Any, store: Path) -> None:
    """After the run its classes come back from the store by name, as long as they are known."""
    threads(folder("project", stages=KEEPS, helper=VALUES), run="r1")
    back = ObjectStore(store).at(namespace="default", run="r1").get("value")
    assert "Model" == type(back[0]).__name__
    assert isinstance(sys.modules.pop("helper"), ModuleType)  # pickle has put it there
