"""`cat` and `head`: an object's bytes, and how it begins."""

import io
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.arguments import in_shell
from runstore.cli._completion import complete_ref
from runstore.cli._loading import beginning, unpickled_rows
from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import emit, emit_json, say, to_stdout
from runstore.cli._refs import object_place
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, UnsafePickleError
from runstore.file_types import ARROW_MAGIC
from runstore.keys import Place, extension_of

if TYPE_CHECKING:
    from runstore.store import ObjectStore, StoreView

__all__ = ["cat", "copy_to_stdout", "head"]

_PIECE = 1 << 20
_HEADS = ("csv", "json", "arrow", "parquet")

_RefArgument = Annotated[
    str,
    typer.Argument(
        metavar="REF", help="NS/RUN/NAME or NS/_shared/NAME.", autocompletion=complete_ref
    ),
]


def cat(
    ref: _RefArgument,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Print the stored bytes of an object, as they are.

    That is the file itself: text, a picture, an Arrow or Parquet file. On a terminal only text.
    """
    place = open_store(store)
    at = object_place(place, ref, complete=True)
    copy_to_stdout(place.at(namespace=at.namespace, run=at.run), at)


def head(
    ref: _RefArgument,
    rows: Annotated[
        int, typer.Option("--rows", "-n", min=1, metavar="N", help="How many rows or lines.")
    ] = 10,
    as_format: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="FORMAT",
            help="Of a table: csv, json, arrow or parquet, also on a terminal.",
        ),
    ] = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Print the first rows of a table, or lines of a text.

    Tables are csv, on a terminal a table; --as says another format. Nothing that is pickled is
    loaded: such columns are left out. In csv lists and structs are JSON, and time spans are text.
    """
    if as_format not in (None, *_HEADS):
        raise InvalidRequestError(
            f"--as {as_format!r} is no format here: it is one of {', '.join(_HEADS)}", as_format
        )
    place = open_store(store, pickle="deny")
    at = object_place(place, ref, complete=True)
    view = place.at(namespace=at.namespace, run=at.run)
    if _is_text(at) and as_format is None and _printed_lines(view, at, rows):
        return
    from runstore.cli._files import write_value
    from runstore.cli._preview import preview, print_preview
    from runstore.cli._tables import is_tabular, texts_table

    with transfer(f"reading {at}"):
        value, left = _unpickled(place, at, rows)
    tabular = is_tabular(value)
    if as_format is not None and not tabular:
        raise InvalidRequestError(f"{at} is no table: omit --as", str(at))
    if as_format == "json":
        emit_json(preview(value, rows).document)
    elif as_format in ("arrow", "parquet"):
        if sys.stdout.isatty():
            raise InvalidRequestError(f"{at} as {as_format} is no text: pipe it", str(at))
        _to_pipe(_first(value, rows), as_format, at)
    elif tabular and sys.stdout.isatty() and as_format is None:
        print_preview(preview(value, rows))
    elif tabular and sys.stdout.isatty():  # control characters are written out
        shown = io.BytesIO()
        write_value(texts_table(value, rows), "csv", shown, str(at))
        emit(shown.getvalue().decode().removesuffix("\n"))
    elif tabular:
        _to_pipe(texts_table(value, rows), "csv", at)
    else:
        print_preview(preview(value, rows))
    for name, reason in left.items():
        say(f"column {name!r} is left out: {reason}")


def _unpickled(place: "ObjectStore", at: Place, rows: int) -> tuple[Any, dict[str, str]]:
    """Return how an object begins, and which columns are left out; nothing is unpickled."""
    found = unpickled_rows(place, at, rows)
    if found is not None:
        return found
    try:
        return beginning(place.at(namespace=at.namespace, run=at.run), at, rows), {}
    except UnsafePickleError as exc:
        raise UnsafePickleError(
            f"{at} is pickled, and `head` never loads a pickle, whatever the policy: `runstore "
            f"show --load {in_shell(str(at))}` loads it, or get() in Python. That can run code "
            "stored in it",
            str(at),
        ) from exc


def _first(value: Any, rows: int) -> Any:
    """Return some first rows of a table, or of one column, which may be an index of pandas."""
    if hasattr(value, "iloc"):
        return value.iloc[:rows]
    return value.slice(0, rows) if callable(getattr(value, "slice", None)) else value[:rows]


def _printed_lines(view: "StoreView", at: Place, rows: int) -> bool:
    """Print the first lines of a text; return False if it is an Arrow object, whatever its name."""
    with view.open(at.name, scope=at.scope) as file:
        if file.read(len(ARROW_MAGIC)) == ARROW_MAGIC:
            return False
        file.seek(0)
        for line in islice(file, rows):
            emit(line.decode(errors="backslashreplace").removesuffix("\n").removesuffix("\r"))
    return True


def _to_pipe(value: Any, extension: str, at: Place) -> None:
    from runstore.cli._files import write_value

    with to_stdout():
        write_value(value, extension, sys.stdout.buffer, str(at))
        sys.stdout.buffer.flush()


def copy_to_stdout(view: "StoreView", at: Place) -> None:
    """Write the stored bytes of an object to stdout.

    Raises:
        InvalidRequestError: They are no text, and stdout is a terminal.
    """
    if sys.stdout.isatty():
        with view.open(at.name, scope=at.scope) as file:
            if not _is_text(at) or file.read(len(ARROW_MAGIC)) == ARROW_MAGIC:
                raise InvalidRequestError(
                    f"{at} is no text: pipe it, or write it with runstore get -o FILE",
                    str(at),
                )
            file.seek(0)
            for line in file:
                emit(line.decode(errors="backslashreplace").removesuffix("\n"))
        return
    with view.open(at.name, scope=at.scope) as file, to_stdout():
        while piece := file.read(_PIECE):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _is_text(at: Place) -> bool:
    from runstore.file_types import TEXT_FILES

    return extension_of(at.name) in TEXT_FILES | {"csv", "json"}
