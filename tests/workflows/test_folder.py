"""Modules beside a workflow file: found, each workflow's own, in threads and processes."""

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runstore.errors import InvalidWorkflowError
from runstore.workflows import run_workflow

FLOW = """\
    metadata: {name: flow}
    spec:
      stages:
        - {name: a, target: %s.f}
    """


@pytest.fixture
def named(project: Any) -> Any:
    """Make a folder with a flow and a ``<module>.py`` whose function returns a text."""

    def make(folder: str, module: str, text: str) -> Path:
        root = project(folder, flow_yaml=FLOW % module)
        (root / f"{module}.py").write_text(
            f"def f():\n    import {module}_helper\n    return {module}_helper.text\n"
            f"import {module}_helper\n"
        )
        (root / f"{module}_helper.py").write_text(f"text = {text!r}\n")
        return Path(root / "flow.yaml")

    return make


def test_module_beside_the_file(run: Any, named: Any) -> None:
    """Targets are looked for in the folder of the file, wherever the caller is."""
    path = named("one", "beside", "found")
    before = list(sys.path)
    assert "found" == run(path).result
    assert before == sys.path


def test_relative_path(run: Any, named: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path to the file will do."""
    path = named("one", "relative_module", "found")
    monkeypatch.chdir(path.parent.parent)
    assert "found" == run("one/flow.yaml").result


@pytest.mark.extended
def test_two_folders_one_module_name(run: Any, named: Any) -> None:
    """Two workflows that both have a stages.py get each its own, in any order, again and again."""
    one, two = named("one", "clash", "from one"), named("two", "clash", "from two")
    found = [run(path).result for path in (one, two, one, two, two, one)]
    assert ["from one", "from two", "from one", "from two", "from two", "from one"] == found


def test_modules_are_loaded_once(threads: Any, project: Any) -> None:
    """A folder's modules keep their state between its runs, also with another's in between."""
    counting = "count = 0\ndef f():\n    global count\n    count += 1\n    return count\n"
    paths = []
    for folder in ("one", "two"):
        root = project(folder, flow_yaml=FLOW % "counting")
        (root / "counting.py").write_text(counting)
        paths.append(root / "flow.yaml")
    one, two = paths
    assert [1, 1, 2, 2] == [threads(path).result for path in (one, two, one, two)]


def test_callers_module_is_put_back(
    threads: Any, named: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the caller with the same name is out of the way only while the run goes on."""
    own = ModuleType("callers_own")
    monkeypatch.setitem(sys.modules, "callers_own", own)
    assert "found" == threads(named("one", "callers_own", "found")).result
    assert own is sys.modules["callers_own"]


def test_standard_library_stays(threads: Any, project: Any) -> None:
    """A file that happens to be called like a standard module does not replace it."""
    root = project(
        flow_yaml=FLOW % "uses_json", uses_json_py="import json\nf = lambda: json.dumps([])"
    )
    (root / "json.py").write_text("")
    assert "[]" == threads(root / "flow.yaml").result


@pytest.mark.extended
def test_package_beside_the_file(run: Any, project: Any) -> None:
    """Packages beside the file work as modules do, also when their names clash."""
    paths = []
    for folder in ("one", "two"):
        root = project(folder, flow_yaml=FLOW % "pack.inner")
        (root / "pack").mkdir()
        (root / "pack" / "__init__.py").write_text("")
        (root / "pack" / "inner.py").write_text(f"def f():\n    return {folder!r}\n")
        paths.append(root / "flow.yaml")
    assert ["one", "two", "one"] == [run(path).result for path in (*paths, paths[0])]


def test_two_clashing_runs_at_once(run: Any, named: Any) -> None:
    """Two such workflows can run at the same time; stages are each their own folder's."""
    paths = [named("one", "at_once", "from one"), named("two", "at_once", "from two")]
    for path in paths:
        path.with_name("at_once.py").write_text(
            "import at_once_helper\ndef f():\n    return at_once_helper.text\n"
        )
    started = threading.Barrier(2)

    def start(path: Path) -> Any:
        return run(
            path,
            on_event=lambda event: (
                started.wait(60) if (event.kind, event.state) == ("run", "running") else None
            ),
        ).result

    with ThreadPoolExecutor(2) as pool:
        assert ["from one", "from two"] == list(pool.map(start, paths))


def test_module_that_fails(project: Any, store: Path) -> None:
    """A module that cannot be imported is refused with its own error."""
    root = project(flow_yaml=FLOW % "broken_module", broken_module_py="1 / 0\n")
    with pytest.raises(
        InvalidWorkflowError, match="importing 'broken_module' failed: ZeroDiv"
    ) as e:
        run_workflow(root / "flow.yaml", store=store)
    assert isinstance(e.value.__cause__, ZeroDivisionError)
    (root / "broken_module.py").write_text("import not_installed\n")
    with pytest.raises(InvalidWorkflowError, match="failed: No module named 'not_installed'"):
        run_workflow(root / "flow.yaml", store=store)
    (root / "broken_module.py").write_text("def f(:\n")
    with pytest.raises(InvalidWorkflowError, match="failed: SyntaxError"):
        run_workflow(root / "flow.yaml", store=store)


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_script_without_guard(mode: str, tmp_path: Path, store: Path) -> None:
    """Functions and classes of a script run in processes although it has no __main__ guard."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            from dataclasses import dataclass
            from runstore import get_run_context, object_store, run_workflow

            print("the script runs")

            @dataclass
            class Model:
                size: int

            def put():
                object_store.put("size", get_run_context().input["size"])

            def fit(nothing):
                return Model(object_store.get("size"))

            run = run_workflow(
                {{"metadata": {{"name": "w"}}, "spec": {{"stages": [
                    {{"name": "put", "target": put}},
                    {{"name": "fit", "target": "__main__.fit", "depends_on": ["put"]}},
                ]}}}},
                {{"size": 3}},
                store={str(store)!r},
                executor_options={{"mode": {mode!r}}},
            )
            print(run.result == Model(3), run.result)
            """
        )
    )
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert "the script runs\nTrue Model(size=3)\n" == out.stdout
    assert "" == out.stderr


@pytest.mark.extended
def test_two_processes_one_workflow(named: Any, store: Path) -> None:
    """Two programs that run one workflow on one store at once do not disturb each other."""
    path = named("one", "shared", "found")
    program = (
        "import sys; from runstore import run_workflow; "
        "run = run_workflow(sys.argv[1], store=sys.argv[2]); print(run.name, run.result)"
    )
    command = [sys.executable, "-c", program, path, store]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0].split() for process in started]
    assert ["found", "found"] == [result for _, result in told]
    assert 2 == len({name for name, _ in told})
