"""Section A, local disk: addresses that lead elsewhere, or to what is no folder."""

from pathlib import Path

import pytest
from tests.cases._case import case

from runstore import ObjectStore
from runstore.errors import SettingsError, StorageError


@case("A6", "file://localhost is this host's path, and another host is refused")
def file_urls(folder: Path) -> None:
    store = ObjectStore(f"file://localhost{folder}/s")
    store.at(namespace="n", run="r").put("a", 1)
    assert (folder / "s/n/r/a.arrow").is_file()
    assert not (folder / "localhost").exists()
    with pytest.raises(SettingsError, match="names the host 'elsewhere'"):
        ObjectStore(f"file://elsewhere{folder}/s")


@case("A6", "a store that is a file, or whose root is replaced by one, is an error of every verb")
def the_root_is_a_file(folder: Path) -> None:
    root = folder / "s"
    store = ObjectStore(root)
    store.at(namespace="n", run="r").put("a", 1)
    root.rename(folder / "moved")
    root.write_text("no folder")
    for other in (store, ObjectStore("/etc/passwd")):
        view = other.at(namespace="n", run="r")
        for verb in (view.list, other.runs, other.namespaces, lambda v=view: v.get("a")):
            with pytest.raises(StorageError, match="is a file, not a folder"):
                verb()
