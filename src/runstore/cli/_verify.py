"""`verify`: whether what is stored is what was written, byte by byte."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._exits import FAILED
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import counted, emit, emit_json, say, size, styled
from runstore.cli._refs import Ref, parse_ref, resolved
from runstore.cli._scopes import must_be_there
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.store import ObjectStore, Verified

__all__ = ["verify"]


def verify(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="[PREFIX]",
            help="NS, NS/RUN, NS/_shared, or NS/RUN/PREFIX.",
            autocompletion=complete_ref,
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Keep in FILE what was found whole: if it is stopped, it goes on from there.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Objects that are checked at a time.")
    ] = 4,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Read every object and run record, and check every byte against its digest.

    No value is loaded, and no code of a pickle is run. The exit code is 1 if anything is damaged
    or could not be checked.
    """
    place = open_store(store)
    at = None if ref is None else resolved(place, parse_ref(ref), complete=True)
    count, total, resumed = 0, 0, 0
    bad: list[Verified] = []
    bare: list[str] = []
    with _counting() as tell:
        for found in _found(place, at, journal, workers):
            count, total = count + 1, total + found.size
            resumed += found.resumed
            tell(f"{count:,} checked, {size(total)}")
            if found.error is not None:
                bad.append(found)
                if not as_json:
                    emit(_line(found))
            elif not found.has_digest:
                bare.append(found.ref)
    if not count and at is not None:
        must_be_there(place, at)
    damaged = [found for found in bad if found.damaged]
    unchecked = [found for found in bad if not found.damaged]
    if as_json:
        emit_json(
            {
                "store": place.url,
                "checked": count,
                "size": total,
                "resumed": resumed,
                "damaged": [_described(found) for found in damaged],
                "unchecked": [_described(found) for found in unchecked],
                "without_digest": bare,
            }
        )
    else:
        looked_at = counted(count, "object or record", "objects and records")
        told = [f"{looked_at} checked ({size(total)})"]
        told.append(f"{len(damaged):,} damaged")
        told += [f"{resumed:,} of them by the check before"] if resumed else []
        told += [f"{len(unchecked):,} could not be checked"] if unchecked else []
        told += [f"{counted(len(bare), 'has', 'have')} no digest to check"] if bare else []
        say(", ".join(told))
    if bad:
        raise typer.Exit(FAILED)


def _found(
    store: "ObjectStore", at: Ref | None, journal: Path | None, workers: int
) -> "Iterator[Verified]":
    if at is None:
        return store.verify(journal=journal, workers=workers)
    shared, run = at.run == SHARED, at.only_run
    return store.verify(at.namespace, run, at.name, shared=shared, journal=journal, workers=workers)


def _line(found: "Verified") -> str:
    return f"{'damaged' if found.damaged else 'unchecked'}: {_described(found)['error']}"


def _described(found: "Verified") -> dict[str, str]:
    error = " ".join(str(found.error).split())  # in one line
    return {"ref": found.ref, "error": error if found.ref in error else f"{found.ref}: {error}"}


@contextmanager
def _counting() -> Iterator[Callable[[str], None]]:
    """Show how far it is in one line of stderr that is redrawn, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with Live(
        console=console,
        refresh_per_second=8,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as live:
        yield lambda text: live.update(styled(text))
