"""Section D, local disk: what is no file stands in the place of an object or a temporary."""

import os
import warnings
from pathlib import Path

import pytest
from tests.cases._case import case

from runstore import ObjectStore
from runstore.errors import ObjectNotFoundError, StorageError, UnreadableWarning


def _foreign(folder: Path, suffix: str) -> list[str]:
    """Make a pipe, a link to a device, a circular link and a folder; return their names."""
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"device{suffix}").symlink_to("/dev/zero")
    (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
    (folder / f"folder{suffix}").mkdir()
    return ["pipe", "device", "loop", "folder"]


@case("D4", "special files in an object's place cost an error that names them, and no hang")
def in_the_place_of_objects(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    view.put("good", 1)
    for name in _foreign(folder / "s/n/r", ".arrow"):
        error = ObjectNotFoundError if name == "folder" else StorageError
        for verb in (view.get, view.stat, view.delete, lambda n: view.copy(n, to_name="x")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnreadableWarning)
                with pytest.raises(error, match=name):
                    verb(name)


@case("D4", "listing, runs, sweep and delete_run go on beside special files")
def the_rest_goes_on(folder: Path) -> None:
    store = ObjectStore(folder / "s")
    view = store.at(namespace="n", run="r")
    view.put("good", 1)
    (folder / "s/n/_runs").mkdir()
    _foreign(folder / "s/n/r", ".arrow")
    _foreign(folder / "s/n/_runs", ".json")
    _foreign(folder / "s/.runstore-tmp", "")
    with pytest.warns(UnreadableWarning, match="pipe"):
        assert [info.name for info in view.list(details=True)] == ["good"]
    with pytest.warns(UnreadableWarning, match="pipe"):
        assert store.runs() == []
    with pytest.warns(UnreadableWarning, match="pipe"):
        assert store.sweep(0) == 0
    with pytest.warns(UnreadableWarning, match="pipe"):
        store.delete_run("r", namespace="n")
    assert not (folder / "s/n/r/good.arrow").exists()
