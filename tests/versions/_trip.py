"""Write the values, or read them, inside one environment; started by ``tests.versions``."""

import json
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.versions._describe import described, difference
from tests.versions._values import VALUES, Absent

from runstore import ObjectStore
from runstore.errors import CorruptObjectError, MissingExtraError, RunStoreError

__all__ = ["LIBRARIES", "installed", "read", "write"]

LIBRARIES = ("pandas", "polars", "pyarrow", "numpy", "xarray")


def installed() -> dict[str, str]:
    """Return the versions of the libraries that are installed here."""
    return {name: metadata.version(name) for name in LIBRARIES}


def write(folder: Path, writer: str) -> None:
    """Put each value under its name into the run *writer*, and beside the store what it is."""
    view = ObjectStore(folder / "store").at(namespace="versions", run=writer)
    written: dict[str, Any] = {}
    for name, make in VALUES.items():
        try:
            value = make()
        except Absent:
            continue
        view.put(name, value)
        written[name] = described(value)
    document = {"versions": installed(), "values": written}
    Path(folder, f"{writer}.json").write_text(json.dumps(document))


def read(folder: Path, writer: str) -> dict[str, str]:
    """Read what *writer* wrote; return ``same``, ``told`` and the error, or what is wrong."""
    document = json.loads(Path(folder, f"{writer}.json").read_text())
    view = ObjectStore(folder / "store").at(namespace="versions", run=writer)
    outcomes = {}
    for name, expected in document["values"].items():
        untyped = name.endswith(".csv")  # which has no digest, and is of the reader's own types
        try:
            actual = described(view.get(name, verify=not untyped))
        except RunStoreError as exc:
            outcomes[name] = _judged(exc, name, document["versions"])
        except Exception as exc:  # noqa: BLE001 - what is no error of ours is the finding
            outcomes[name] = f"WRONG foreign error: {type(exc).__name__}: {exc}"
        else:
            wanted = described(VALUES[name]()) if untyped else expected
            found = difference(wanted, json.loads(json.dumps(actual)))
            outcomes[name] = "same" if found is None else f"WRONG value: {found}"
    return outcomes


def _judged(exc: RunStoreError, name: str, wrote: dict[str, str]) -> str:
    """Return whether an error says what it should: no damage, and two versions of a library.

    A file that other programs read, too, has no place for the versions that wrote it: of such a
    file those that are here are enough.
    """
    text = f"{type(exc).__name__}: {exc}"
    differ = [(wrote[one], here) for one, here in installed().items() if wrote[one] != here]
    bare = "." in name and not name.endswith(".parquet")
    named = any(here in text and (bare or theirs in text) for theirs, here in differ)
    if isinstance(exc, MissingExtraError):
        named = "pip install" in text  # what the other has is not here in any version
    wrong = isinstance(exc, CorruptObjectError) or not named
    return f"{'WRONG error' if wrong else 'told'}: {text}"


def main(verb: str, folder: Path, name: str, *writers: str) -> None:
    """Write as *name*, or read all *writers* and leave what came of it in a file of *name*."""
    warnings.simplefilter("ignore")  # old releases warn of each other
    if verb == "write":
        write(folder, name)
        return
    outcomes = {writer: read(folder, writer) for writer in writers}
    Path(folder, f"read-by-{name}.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
