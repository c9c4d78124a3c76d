"""The options that all commands have, and the store they open."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from runstore.errors import InvalidRequestError, ObjectExistsError

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = [
    "CommonOptions",
    "DebugOption",
    "JsonOption",
    "StoreOption",
    "open_store",
    "option_for",
    "told_as_option",
    "told_in_shell",
]


@dataclass
class CommonOptions:
    """The options that may stand before the command, and what `main` needs of the others."""

    store: str | None = None
    debug: bool = False
    notes: tuple[str, ...] = ()  # of an interrupt: what may still be written


def _store(ctx: typer.Context, value: str | None) -> str | None:
    given: CommonOptions = ctx.ensure_object(CommonOptions)
    given.store = given.store if value is None else value  # an empty one is refused
    return given.store


def _debug(ctx: typer.Context, value: bool) -> bool:
    given: CommonOptions = ctx.ensure_object(CommonOptions)
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
    url: str | None,
    *,
    pickle: Literal["allow", "warn", "deny"] | None = None,
    longest: float | None = None,
) -> "ObjectStore":
    """Open the store of ``--store``, else that of the settings, else the default one.

    Args:
        url: What ``--store`` says.
        pickle: The policy, instead of that of the settings.
        longest: Seconds to wait for a remote place, if the settings do not say fewer.

    Raises:
        SettingsError: It is not understood.
    """
    from runstore.store import ObjectStore  # loads pyarrow, which --help must not

    place = ObjectStore(url, pickle=pickle)
    if longest is not None and place.address.timeout > longest:
        place.close()
        place = ObjectStore(url, pickle=pickle, timeout=longest)
    return place


@contextmanager
def told_as_option(ref: object) -> Iterator[None]:
    """Let the error for an object that is there already name the option of the shell."""
    try:
        yield
    except ObjectExistsError as exc:
        raise ObjectExistsError(
            f"{ref} exists already: choose another name, or omit --if-absent to replace it",
            str(ref),
        ) from exc


@contextmanager
def told_in_shell(**words: str) -> Iterator[None]:
    """Let the message of a wrong request name what the shell has, instead of Python's arguments.

    Args:
        words: For each argument of Python, without its ``=``, the option of the shell.
    """
    try:
        yield
    except InvalidRequestError as exc:
        told = str(exc)
        for argument, option in words.items():
            told = re.sub(rf"(\w+: )?\b{argument}(=('\w+')?)?(?=[,:;. ]|$)", option, told)
        raise InvalidRequestError(told, exc.ref) from exc


def option_for(url: str | None) -> str:
    """Return the option by which a next command uses the same store, or an empty text."""
    return f" --store {shlex.quote(url)}" if url else ""
