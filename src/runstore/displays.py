"""How values show in a notebook: small tables of HTML, in which all text of users is inert.

No scripts, no styles of their own, nothing from a network: a notebook shows them in its own
colours, also when it is opened elsewhere. What is large is cut, and says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar, Generic, SupportsIndex, TypeVar, overload

from runstore.arguments import printable

__all__ = [
    "Listing",
    "brief",
    "instant",
    "lines",
    "note",
    "pairs",
    "public_names",
    "seconds",
    "section",
    "some",
    "table",
]

T = TypeVar("T")

_ROWS = 100  # of a listing
_LINES = 200  # of a text
_LONGEST = 300  # characters of a cell
_LEFT = ' style="text-align: left; white-space: pre-wrap"'


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a cell that is None is empty."""
    head = "".join(f"<th{_LEFT}>{_text(title)}</th>" for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td{_LEFT}>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def some(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table of the first rows of many, and say how many more there are."""
    left = len(rows) - _ROWS
    return table(titles, rows[:_ROWS]) + (note(f"… and {left:,} more") if left > 0 else "")


def section(title: str, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a title and a table of the first rows below it; nothing where there are no rows."""
    rows = list(rows)
    return note(f"{title}:") + some(titles, rows) if rows else ""


def pairs(values: Mapping[str, object]) -> str:
    """Return a table of labels and values; what is None or empty is omitted."""
    rows = "".join(
        f'<tr><th scope="row"{_LEFT}>{_text(label)}</th><td{_LEFT}>{_text(value)}</td></tr>'
        for label, value in values.items()
        if value is not None and value != ""
    )
    return f"<table><tbody>{rows}</tbody></table>"


def note(text: str) -> str:
    """Return a line of text."""
    return f"<p>{_text(text)}</p>"


def lines(text: str) -> str:
    """Return text of several lines as it is, the first ones of very many."""
    from html import escape

    some = text.split("\n")
    cut = [line[:_LONGEST] for line in some[:_LINES]]
    shown = escape(printable("\n".join(cut), lines=True))
    left = len(some) - _LINES
    return f"<pre>{shown}</pre>" + (note(f"… and {left:,} more lines") if left > 0 else "")


def brief(value: object) -> str:
    """Return a plain value as text; its own code is not run where it is of a strange class."""
    if isinstance(value, str) and type(value) is str:
        return value
    kinds = (bool, int, float, type(None), dict, list, tuple)
    return repr(value) if type(value) in kinds else type(value).__qualname__


def instant(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    if time is None:
        return ""
    try:
        return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return time.isoformat(" ", "seconds")


def seconds(began: datetime | None, ended: datetime | None) -> str:
    """Return the time between two moments; empty if one of them is not known."""
    if began is None or ended is None:
        return ""
    return f"{(ended.replace(tzinfo=UTC) - began.replace(tzinfo=UTC)).total_seconds():,.2f} s"


def public_names(value: object) -> list[str]:
    """Return what completion offers: the names that are for users."""
    return [name for name in object.__dir__(value) if not name.startswith("_")]


class Listing(list[T], Generic[T]):
    """A list that shows as a table in a notebook; everywhere else it is a list.

    Subclasses say what its columns are.
    """

    titles: ClassVar[tuple[str, ...]] = ("value",)

    def cells(self, item: T) -> Sequence[object]:
        """Return the row of an item."""
        return [brief(item)]

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Listing[T]": ...

    def __getitem__(self, index: SupportsIndex | slice) -> "T | Listing[T]":
        """Return an item, or some of them, which show as a table, too."""
        found: Any = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def _repr_html_(self) -> str:
        shown = table(self.titles, map(self.cells, islice(self, _ROWS)))
        if not self:
            return note("nothing is there")
        left = len(self) - _ROWS
        return shown if left <= 0 else shown + note(f"… and {left:,} more")


def _text(value: object) -> str:
    from html import escape  # slow to import, and seldom needed

    text = "" if value is None else str(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return escape(printable(text, lines=True))
