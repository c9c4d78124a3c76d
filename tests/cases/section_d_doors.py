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
