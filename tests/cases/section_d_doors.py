"""Section D: run records that are damaged, foreign or cannot be read back."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
from tests.cases._case import case


def _recorded(folder: Path, name: str, result: object = None):
    from runstore import ObjectStore
    from runstore.context import new_run

    store = ObjectStore(folder / "store")
    run = new_run("w", namespace="n", name=name).model_copy(update={"result": result})
    store.write_run(run)
    return store, folder / "store" / "n" / "_runs" / f"{name}.json"


@case("D5", "One flipped bit in a run record is found: no metric changes unnoticed.")
def flipped_bit(here: Path) -> None:
    from runstore.errors import CorruptObjectError

    store, path = _recorded(here, "r", {"rmse": 12.5})
    path.write_bytes(path.read_bytes().replace(b"12.5", b"12.4"))
    with pytest.raises(CorruptObjectError, match="digest"):
        store.read_run("r", namespace="n")


@case("D5", "A run record that was copied to another name is refused.")
def copied_record(here: Path) -> None:
    from runstore.errors import CorruptObjectError

    store, path = _recorded(here, "r")
    shutil.copy(path, path.with_name("other.json"))
    with pytest.raises(CorruptObjectError, match="is the record of n/r"):
        store.read_run("other", namespace="n")


@case("D5", "One unreadable record costs a warning that names it, and hides no other.")
def one_unreadable(here: Path) -> None:
    from runstore.errors import UnreadableWarning

    store, path = _recorded(here, "good")
    path.with_name("bad.json").write_bytes(b"{")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [run.name for run in store.runs()] == ["good"]
    assert [UnreadableWarning] == [warning.category for warning in told]
    assert "n/_runs/bad.json" in str(told[0].message)


@case("D5", "What runstore itself writes, it reads: a result with a lone surrogate.")
def lone_surrogate(here: Path) -> None:
    store, _ = _recorded(here, "r", "\ud800")
    (run,) = store.runs()
    assert run.result["kept"] is False, run.result
    json.dumps(run.model_dump(mode="json"))


@case("D5", "A result with keys that are not str is said to be not kept, never changed.")
def integer_keys(here: Path) -> None:
    store, _ = _recorded(here, "r", {1: "a"})
    result = store.read_run("r", namespace="n").result
    assert result["kept"] is False, result
    assert "key of type int" in result["reason"], result


def _refused(here: Path, text: str, said: str) -> None:
    from runstore.errors import InvalidWorkflowError
    from runstore.workflows import load_config, load_workflow

    path = here / "flow.yaml"
    path.write_text(text)
    for load in (load_workflow, load_config):
        with pytest.raises(InvalidWorkflowError, match=said):
            load(path)


@case("D6", "A YAML alias bomb, and YAML that contains itself, are refused at once.", seconds=30)
def yaml_bombs(here: Path) -> None:
    lines = ["metadata: {name: x}", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    _refused(here, "\n".join(lines), "values when aliases are written out")
    _refused(here, "metadata: &m {name: x, annotations: *m}\n", "contains itself")


@case("D6", "`retries: 010` and `timeout: 1:30` are refused, `name: on` is remarked and refused.")
def ambiguous_yaml(here: Path) -> None:
    from runstore.errors import AmbiguousYamlWarning, InvalidWorkflowError
    from runstore.workflows import load_workflow

    stage = "metadata: {{name: x}}\nspec: {{stages: [{{name: {0}, target: m.f, {1}}}]}}\n"
    _refused(here, stage.format("a", "retries: 010"), "octal")
    _refused(here, stage.format("a", "timeout: 1:30"), "base 60")
    path = here / "flow.yaml"
    path.write_text(stage.format("on", "retries: 1"))
    with (
        pytest.warns(AmbiguousYamlWarning, match="flow.yaml:2:24"),
        pytest.raises(InvalidWorkflowError, match="not true or false"),
    ):
        load_workflow(path)


@case("D6", "A stage cannot need a negative amount of anything.")
def negative_resources(here: Path) -> None:
    from runstore.errors import InvalidWorkflowError
    from runstore.workflows import load_workflow

    path = here / "flow.yaml"
    path.write_text(
        "metadata: {name: x}\nspec:\n  stages:\n"
        "    - {name: a, target: m.f, resources: {cpus: -1}}\n"
    )
    with pytest.raises(InvalidWorkflowError, match=r"flow.yaml:4:.*resources\.cpus: .* equal to 0"):
        load_workflow(path)


@case("D6", "Terminal escapes in column names, and in a swapped header, are written out.")
def terminal_escapes(here: Path) -> None:
    import subprocess
    import sys

    import pyarrow as pa

    from runstore import ObjectStore

    view = ObjectStore(here / "store").at(namespace="n", run="r")
    view.put("table", pa.table({"\x1b[31mred\x1b]0;owned\x07\u202e": [1]}))
    folder = here / "store" / "n" / "r"
    view.put("a\u202e\u2066b", 1)
    (swapped,) = folder.glob("a*")
    shutil.copy(swapped, folder / "x.arrow")
    for words in (["show", "n/r/table"], ["show", "n/r/x"], ["ls", "--details", "n/r"]):
        ended = subprocess.run(
            [sys.executable, "-m", "runstore", "--store", "store", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        shown = ended.stdout + ended.stderr
        assert shown.replace("\n", "").isprintable(), shown.encode()
