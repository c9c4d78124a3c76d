"""`get`: writes a stored value to a file."""

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import emit, emit_json, say, size, to_stdout
from runstore.cli._refs import object_place
from runstore.errors import InvalidRequestError

__all__ = ["get"]


def get(
    ref: Annotated[str, typer.Argument(metavar="REF", help="NS/RUN/NAME or NS/_shared/NAME.")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it: .parquet, .csv, .arrow, .json, .npy, .txt or .bin; "
            "- for stdout.",
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace FILE if it is there.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Write an object to a file, as the file's extension says.

    Tables go to parquet, csv, arrow or json (records), arrays to npy, plain data
    to json, text and bytes as they are. On stdout tables are csv.
    """
    from runstore.cli._files import new_file, write_value

    place = open_store(store)
    at = object_place(place, ref)
    view = place.at(namespace=at.namespace, run=at.run)
    if output == "-":
        if as_json:
            raise InvalidRequestError("--json and -o - would both write to stdout; choose", ref)
        _to_stdout(view.get(at.name, scope=at.scope), str(at))
        return
    path = Path(output)
    extension = path.suffix.removeprefix(".").lower()
    if not extension:
        raise InvalidRequestError(
            f"{output!r} has no extension, which says the format: name it like {output}.parquet",
            output,
        )
    with new_file(path, replace=force) as sink:
        write_value(view.get(at.name, scope=at.scope), extension, sink, str(at))
    written = path.stat().st_size
    if as_json:
        emit_json({"ref": str(at), "file": str(path.absolute()), "size": written})
    else:
        say(f"wrote {path} ({size(written)})")


def _to_stdout(value: Any, ref: str) -> None:
    from runstore.cli._files import extensions_for, write_value

    if isinstance(value, (bytes, bytearray)) and sys.stdout.isatty():
        raise InvalidRequestError(f"{ref} is bytes, which would spoil the terminal: pipe it", ref)
    extension = next(iter(extensions_for(value)), "txt")
    if extension == "npy":
        raise InvalidRequestError(f"{ref} is an array, not text: write it with -o FILE.npy", ref)
    if sys.stdout.isatty():  # control characters are written out, unlike in a pipe
        shown = io.BytesIO()
        write_value(value, extension, shown, ref)
        emit(shown.getvalue().decode(errors="backslashreplace").removesuffix("\n"))
        return
    with to_stdout():
        write_value(value, extension, sys.stdout.buffer, ref)
        sys.stdout.buffer.flush()
