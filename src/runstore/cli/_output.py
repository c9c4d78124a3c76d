r"""Printing: tables for people, one JSON document for programs, and messages on stderr.

All output of the command line to a terminal is written here. Names, values, errors and warnings
may contain control characters, which could change the terminal, or marks that change the
direction of text. They are always written out, as ``\x1b``.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import typer

from runstore.arguments import printable
from runstore.cli._exits import PIPE_CLOSED
from runstore.errors import StorageError

if TYPE_CHECKING:
    from rich.text import Text

    from runstore.store import ObjectInfo

__all__ = [
    "Column",
    "asked",
    "describe_info",
    "duration",
    "elapsed",
    "emit",
    "emit_json",
    "fields",
    "instant",
    "say",
    "say_error",
    "shape",
    "short_type",
    "size",
    "styled",
    "table",
    "to_stdout",
]

_STATES = {"finished": "green", "failed": "red", "damaged": "red", "lost": "red", "running": "cyan"}


class Column(NamedTuple):
    """A column of a table: its title, and whether it holds numbers."""

    title: str
    right: bool = False


@contextmanager
def to_stdout() -> Iterator[IO[str]]:
    """Write to stdout. If its reader has gone away (``| head``), the program ends quietly.

    Raises:
        StorageError: It cannot be written, as to a full disk.
    """
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as exc:
        # Python flushes stdout once more at exit, and would print the error again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(exc, BrokenPipeError):
            raise SystemExit(PIPE_CLOSED) from None
        raise StorageError(f"cannot write to stdout: {exc.strerror or exc}", "stdout") from exc


def emit(text: str) -> None:
    """Print data to stdout."""
    with to_stdout() as out:
        out.write(printable(text, lines=True) + "\n")


def say(text: str) -> None:
    """Print a message to stderr."""
    print(printable(text, lines=True), file=sys.stderr, flush=True)


def asked(question: str) -> bool:
    """Ask on stderr, and return whether the answer was yes."""
    return typer.confirm(printable(question), err=True)


def styled(text: str, style: str = "") -> "Text":
    """Return *text* for a rich display."""
    from rich.text import Text

    return Text(printable(text), style=style)


def say_error(text: str) -> None:
    """Print why a command failed to stderr."""
    if not sys.stderr.isatty():
        say(f"error: {text}")
        return
    text = printable(text, lines=True)
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text.assemble(("error", "bold red"), f": {text}"), soft_wrap=True)


def emit_json(document: Any) -> None:
    """Print one JSON document to stdout: ASCII, strict (NaN and infinity become null)."""
    emit(json.dumps(_strict(document), indent=2, default=str, allow_nan=False))


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, head: bool = True) -> None:
    """Print rows: with rich on a terminal, else as aligned plain text without cuts."""
    columns = [Column(printable(column.title), column.right) for column in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, cells, head)
        return
    lines = [[column.title for column in columns], *cells] if head else cells
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
    for line in lines:
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        emit("  ".join(padded).rstrip())


def fields(pairs: dict[str, str | None]) -> None:
    """Print labels and values, one pair per line; values that are None are omitted."""
    there = [(label, value) for label, value in pairs.items() if value is not None]
    width = max((len(label) for label, _ in there), default=0)
    for label, value in there:
        first, *others = map(printable, value.split("\n"))
        _field(label.ljust(width), first)
        for other in others:
            _field(" " * width, other)


def size(nbytes: int | None) -> str:
    """Return a number of bytes as text for people."""
    from runstore.store import human_size  # loads pyarrow, which --help must not

    return "" if nbytes is None else human_size(nbytes)


def duration(seconds: float | None) -> str:
    """Return a time span as text for people: ``0.42 s``, ``1 min 03 s``, ``2 h 05 min``."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def instant(time: datetime | None, zone: str = "") -> str:
    """Return a time as text for people: to the second, in UTC, followed by *zone*.

    A time without a zone is taken as UTC. A time that in UTC is before the year 1 or after 9999
    is shown in its own zone.
    """
    if time is None:
        return ""
    try:
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return time.isoformat(" ", "seconds")
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}"


def elapsed(began: datetime | None, ended: datetime | None) -> float | None:
    """Return the seconds between two times, None if one is not known.

    A time without a zone is taken as UTC.
    """
    if began is None or ended is None:
        return None
    zoned = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in (began, ended)]
    return (zoned[1] - zoned[0]).total_seconds()


def short_type(python_type: str | None) -> str:
    """Return the usual name of a type: ``dict``, ``pandas.DataFrame``, ``polars.Series``."""
    if python_type is None:
        return ""
    library, _, rest = python_type.partition(".")
    name = rest.rpartition(".")[2]
    return name if library == "builtins" else f"{library}.{name}"


def shape(info: "ObjectInfo") -> str:
    """Return the size of a table or array as text, in rows and columns."""
    if info.rows is None:
        return ""
    return f"{info.rows:,}" if info.columns is None else f"{info.rows:,} × {info.columns:,}"


def describe_info(info: "ObjectInfo") -> dict[str, Any]:
    """Return an object's description with the stable keys of the JSON output."""
    return {
        "ref": str(info.place),
        "namespace": info.namespace,
        "run": info.run,
        "name": info.name,
        "type": info.python_type,
        "format": info.format,
        "codec": info.codec,
        "pickled": info.pickled,
        "signed": info.signed,
        "rows": info.rows,
        "columns": info.columns,
        "size": info.size,
        "nbytes": info.nbytes,
        "created_at": info.created_at.isoformat(),
        "workflow": info.workflow,
        "stage": info.stage,
        "digest": info.digest,
        "version": info.version,
        "versions": info.versions,
        "metadata": info.metadata,
    }


def _rich_table(columns: Sequence[Column], cells: list[list[str]], head: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=head
    )
    for column in columns:
        shown.add_column(
            styled(column.title),
            justify="right" if column.right else "left",
            no_wrap=column.right,
            overflow="fold",
        )
    for row in cells:
        shown.add_row(*(styled(cell, _STATES.get(cell, "")) for cell in row))
    Console().print(shown)


def _field(label: str, value: str) -> None:
    if not sys.stdout.isatty():
        emit(f"{label}  {value}".rstrip())
        return
    from rich.console import Console
    from rich.text import Text

    # Lines are not wrapped, so that a path or command can be copied whole.
    Console().print(
        Text.assemble((label, "dim"), "  ", (value, _STATES.get(value, ""))), soft_wrap=True
    )


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value
