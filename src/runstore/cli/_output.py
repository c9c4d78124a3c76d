r"""Printing: tables for people, one JSON document for programs, and messages on stderr.

All output of the command line to a terminal is written here. Names, values, errors and warnings
may contain control characters, which could change the terminal, or marks that change the
direction of text. They are always written out, as ``\x1b``.
"""

import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import typer

from runstore import texts
from runstore.arguments import printable
from runstore.cli._exits import PIPE_CLOSED
from runstore.errors import StorageError
from runstore.texts import human_size

if TYPE_CHECKING:
    from rich.text import Text

    from runstore.store import ObjectInfo

__all__ = [
    "Column",
    "asked",
    "counted",
    "describe_info",
    "emit",
    "emit_json",
    "fields",
    "finding",
    "say",
    "say_error",
    "shape",
    "size",
    "stamp",
    "standard_streams",
    "styled",
    "table",
    "to_stdout",
]

_MARKS = {"ok": "green", "warning": "yellow", "fault": "bold red", "unknown": "dim"}
_STATES = {"finished": "green", "failed": "red", "damaged": "red", "lost": "red", "running": "cyan"}


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: Its head.
        right: Whether it holds numbers.
        spare: Whether a narrow terminal may show the table without it.
    """

    title: str
    right: bool = False
    spare: bool = False


def standard_streams() -> tuple[IO[str], IO[str]]:
    """Return stdout and stderr; where the caller has closed one (``>&-``), it is made.

    Else a file of the store could get its number, and what is printed would go into it. What is
    printed to a closed stdout fails as a full disk does; what is said on a closed stderr is lost.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, mode)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    return sys.stdout, sys.stderr


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
    """Print a message to stderr. Where that is full or closed, nothing can be said."""
    with suppress(OSError):
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
    """Print rows as aligned text. Nothing is cut or wrapped, so that names can be copied whole.

    A terminal that is too narrow shows the table without its spare columns, the last one first.
    """
    columns = [column._replace(title=printable(column.title)) for column in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    lines = [[column.title for column in columns], *cells] if head else cells
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)] if lines else []
    shown = list(range(len(widths)))
    terminal = sys.stdout.isatty()
    if terminal:
        shown = _fitting(columns, widths)
    for number, line in enumerate(lines):
        padded = [_padded(line[i], widths[i], columns[i].right) for i in shown]
        if not terminal:
            emit("  ".join(padded).rstrip())
            continue
        if number == 0 and head:
            styles = ["bold"] * len(shown)
        else:
            styles = [_STATES.get(line[i], "") for i in shown]
        _styled_line(list(zip(padded, styles, strict=True)))
    if len(shown) < len(columns):
        left = [column.title for i, column in enumerate(columns) if i not in shown]
        say(f"not shown, as the terminal is narrow: {', '.join(left)}")


def fields(pairs: dict[str, str | None]) -> None:
    """Print labels and values, one pair per line; values that are None are omitted."""
    there = [(label, value) for label, value in pairs.items() if value is not None]
    width = max((len(label) for label, _ in there), default=0)
    for label, value in there:
        first, *others = map(printable, value.split("\n"))
        _field(label.ljust(width), first)
        for other in others:
            _field(" " * width, other)


def finding(state: str, label: str, told: str, cure: str = "") -> None:
    """Print the outcome of a check, and in a line of its own what to do."""
    lines = [(state, label, told)] + ([("", "cure", cure)] if cure else [])
    for mark, name, text in lines:
        start, text = f"{mark:<8} {printable(name):<19}", printable(text)
        if not sys.stdout.isatty():
            emit(f"{start} {text}")
            continue
        from rich.console import Console
        from rich.text import Text

        line = Text.assemble((start, _MARKS.get(mark, "dim")), " ", text)
        Console().print(line, soft_wrap=True)


def size(nbytes: int | None) -> str:
    """Return a number of bytes as text for people."""
    return "" if nbytes is None else human_size(nbytes)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number of things as text for people: ``1 object``, ``2,000 objects``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def stamp(time: datetime) -> str:
    """Return a time as all JSON output has it: ISO 8601, UTC, with a Z, as in run records."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shape(info: "ObjectInfo") -> str:
    """Return the size of a table or array as text, in rows and columns."""
    return texts.shape(info.rows, info.columns)


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
        "created_at": stamp(info.created_at),
        "workflow": info.workflow,
        "stage": info.stage,
        "digest": info.digest,
        "version": info.version,
        "versions": info.versions,
        "metadata": info.metadata,
    }


def _fitting(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """Return which columns fit into the terminal; those that are not spare are always shown."""
    shown = list(range(len(widths)))
    room = shutil.get_terminal_size().columns
    for i in reversed(range(len(widths))):
        if sum(widths[j] + 2 for j in shown) - 2 > room and columns[i].spare:
            shown.remove(i)
    return shown


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if right else text + padding


def _styled_line(pieces: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text("  ").join(Text(text, style=style) for text, style in pieces)
    line.rstrip()
    Console().print(line, soft_wrap=True)  # by the terminal, which then copies it as one line


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
