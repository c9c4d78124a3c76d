"""`get`: writes a stored value to a file."""

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from runstore.cli._completion import complete_file, complete_ref
from runstore.cli._loading import loaded
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import counted, emit, emit_json, say, size, to_stdout
from runstore.cli._refs import object_place
from runstore.cli._stream import copy_to_stdout
from runstore.cli._transfer import transfer
from runstore.cli._whole import folder_of, is_file
from runstore.errors import InvalidRequestError
from runstore.keys import Place, extension_of

__all__ = ["get"]

_OF_PYTHON = frozenset({"pkl", "skops", "safetensors"})  # which only their libraries write


def get(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="NS/RUN/NAME or NS/_shared/NAME; with -r NS/RUN.",
            autocompletion=complete_ref,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            autocompletion=complete_file,
            help="Where to write it: .parquet, .csv, .arrow, .json, .npy, .txt or .bin; "
            "- for stdout; with -r a new folder.",
        ),
    ],
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Write a stored folder, or the files of all objects below NAME/ or of a run.",
        ),
    ] = False,
    as_format: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="FORMAT",
            help="The format, whatever FILE is called: parquet, csv, arrow, json, npy, txt or bin.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace FILE if it is there.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Write an object to a file, as the file's extension says.

    Tables go to parquet, csv, arrow or json (records), arrays to npy, plain data
    to json, text and bytes as they are. On stdout tables are csv. An object that is a file, such
    as report.html or model.onnx, is written as it is.
    """
    from runstore.cli._files import check_format, check_free, new_file, write_value

    if as_format is not None:
        check_format(as_format)
    place = open_store(store)
    if recursive:
        count, total = folder_of(place, ref, Path(output))
        if as_json:
            emit_json({"ref": ref, "folder": str(Path(output).absolute()), "files": count})
        else:
            say(f"wrote {counted(count, 'file')} to {output} ({size(total)})")
        return
    at = object_place(place, ref, complete=True)
    view = place.at(namespace=at.namespace, run=at.run)
    info = view.stat(at.name, scope=at.scope)
    if info.python_type == "folder":
        raise InvalidRequestError(
            f"{at} is a folder: write its files with `runstore get --recursive` to a new folder",
            str(at),
        )
    # Under the name of a file there may be a value that is none: an Arrow object.
    plain = info.codec is None
    if output == "-":
        if as_json:
            raise InvalidRequestError(
                "--json and -o - would both write to stdout: give one of them", ref
            )
        if plain and is_file(at) and as_format is None:
            copy_to_stdout(view, at)
        else:
            with transfer(f"reading {at}"):
                value = loaded(view, at)
            _to_stdout(value, str(at), as_format)
        return
    path = Path(output)
    extension = as_format or path.suffix.removeprefix(".").lower()
    if plain and extension_of(at.name) == extension and (is_file(at) or extension in _OF_PYTHON):
        check_free(path, replace=force)
        with transfer(f"reading {at}"):
            view.get_file(at.name, path, scope=at.scope)
        _told(at, path, as_json)
        return
    if not extension:
        raise InvalidRequestError(
            f"{output!r} has no extension, which says the format: name it like {output}.parquet, "
            "or give --as",
            output,
        )
    with new_file(path, replace=force) as sink, transfer(f"reading {at}"):
        write_value(loaded(view, at), extension, sink, str(at))
    _told(at, path, as_json)


def _told(at: Place, path: Path, as_json: bool) -> None:
    written = path.stat().st_size
    if as_json:
        emit_json({"ref": str(at), "file": str(path.absolute()), "size": written})
    else:
        say(f"wrote {path} ({size(written)})")


def _to_stdout(value: Any, ref: str, as_format: str | None) -> None:
    from runstore.cli._files import extensions_for, write_value

    if isinstance(value, (bytes, bytearray)) and sys.stdout.isatty():
        raise InvalidRequestError(
            f"{ref} is bytes, not text: pipe it, or write it with -o FILE", ref
        )
    extension = as_format or next(iter(extensions_for(value)), "txt")
    if as_format in ("parquet", "arrow", "npy") and sys.stdout.isatty():
        raise InvalidRequestError(
            f"{ref} as {extension} is no text: pipe it, or write it with -o FILE", ref
        )
    if extension == "npy" and as_format is None:
        raise InvalidRequestError(f"{ref} is an array, not text: write it with -o FILE.npy", ref)
    if sys.stdout.isatty():  # control characters are written out, unlike in a pipe
        shown = io.BytesIO()
        write_value(value, extension, shown, ref)
        emit(shown.getvalue().decode(errors="backslashreplace").removesuffix("\n"))
        return
    with to_stdout():
        write_value(value, extension, sys.stdout.buffer, ref)
        sys.stdout.buffer.flush()
