"""`migrate`: takes over what another library has stored."""

from enum import StrEnum
from typing import Annotated

import typer

from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import counted, emit, emit_json, say, size
from runstore.cli._transfer import transfer

__all__ = ["migrate"]


class _Library(StrEnum):
    FLOWDAPT = "flowdapt"


def migrate(
    library: Annotated[_Library, typer.Argument(help="Whose files they are.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Its storage.base_path, a local folder.")
    ],
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Store what another library has stored, and leave its files as they are.

    An artifact that is in the store already is skipped, so this can be repeated.
    """
    from runstore.compat.flowdapt.migrate import migrate as migrated

    place = open_store(store)
    found = []
    with transfer(f"reading {path}"):
        for one in migrated(path, place):
            found.append(one)
            if as_json:
                continue
            ref = f"{one.namespace}/{one.name}"
            if one.skipped is None:
                emit(f"{ref}: {counted(one.files, 'file')}, {size(one.nbytes)}")
            else:
                emit(f"{ref}: skipped, {one.skipped}")
    if as_json:
        emit_json({"store": place.url, "artifacts": [one._asdict() for one in found]})
        return
    stored = [one for one in found if one.skipped is None]
    say(
        f"{counted(len(stored), 'artifact')} stored ({size(sum(one.nbytes for one in stored))}), "
        f"{len(found) - len(stored)} skipped"
    )
