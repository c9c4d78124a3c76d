"""The options that every command has, and the store they open."""

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["DebugOption", "Given", "JsonOption", "StoreOption", "open_store", "option_for"]


@dataclass
class Given:
    """What was said before the command's name, and what `main` must know of the rest."""

    store: str | None = None
    debug: bool = False
    notes: tuple[str, ...] = ()  # of an interrupt: what may still happen


def _store(ctx: typer.Context, value: str | None) -> str | None:
    given: Given = ctx.ensure_object(Given)
    given.store = given.store if value is None else value  # an empty one is refused
    return given.store


def _debug(ctx: typer.Context, value: bool) -> bool:
    given: Given = ctx.ensure_object(Given)
    given.debug = value or given.debug
    return given.debug


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        callback=_store,
        help="Where the store is: a path or URL. By default RUNSTORE_URL, else .runstore here.",
        show_default=False,
    ),
]

DebugOption = Annotated[
    bool,
    typer.Option("--debug", callback=_debug, help="Show the traceback of every error."),
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of a table.")
]


def open_store(
    url: str | None, *, pickle: Literal["allow", "warn", "deny"] | None = None
) -> "ObjectStore":
    """Open the store that ``--store``, the settings or the default name.

    Raises:
        SettingsError: It is not understood.
    """
    from runstore.store import ObjectStore  # loads pyarrow, which --help must not

    return ObjectStore(url, pickle=pickle)


def option_for(url: str | None) -> str:
    """Return what a next command line must have to use the same store: often nothing."""
    return f" --store {shlex.quote(url)}" if url else ""
