"""`ui` and `card`: runs and objects to look at, in a browser or as one file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import emit, say, size, to_stdout
from runstore.cli._refs import parse_run, resolved
from runstore.cli._scopes import folder_is_there
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, MissingExtraError

if TYPE_CHECKING:
    from runstore.ui import Served

__all__ = ["card", "ui"]


def ui(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, metavar="N", help="By default 7420, or a free one."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="H", help="Where to listen; others can reach it then.")
    ] = "127.0.0.1",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Ask nobody for a token; on this computer only.")
    ] = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show the store in a browser, read only. It prints the address, and ends by Ctrl-C."""
    try:
        from runstore.ui import serve
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            f"runstore ui needs {exc.name!r}, which is not installed: pip install 'runstore[ui]'"
        ) from exc
    place = open_store(store, pickle="deny")
    if not folder_is_there(place.url):
        say(f"warning: nothing is stored in {place.url}: there is no such folder")
    try:
        serve(place, host=host, port=port, with_token=not no_token, started=_told)
    except KeyboardInterrupt:
        say("stopped")


def _told(served: "Served") -> None:
    if not served.local:
        say(
            "warning: other computers can reach this view, and it is not encrypted. Who has the "
            "address can read the whole store"
        )
    emit(served.address)
    say("Ctrl-C ends it")


def card(
    ref: Annotated[str, typer.Argument(metavar="RUN", help="NS/RUN, or NS/_latest.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it; - for stdout."),
    ],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace FILE if it is there.")
    ] = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Write the page of a run as one HTML file, which opens without a server or a network."""
    from runstore.cli._files import new_file
    from runstore.pages import run_card

    place = open_store(store, pickle="deny")
    at = resolved(place, parse_run(ref), complete=True)
    if at.only_run is None or at.name:
        raise InvalidRequestError(f"{ref!r} is no run: write NAMESPACE/RUN", ref)
    if str(output) == "-":
        with transfer(f"reading {at}"):
            page = run_card(place, at.only_run, namespace=at.namespace).encode()
        with to_stdout():
            sys.stdout.buffer.write(page)
            sys.stdout.buffer.flush()
        return
    with new_file(output, replace=force) as sink:
        with transfer(f"reading {at}"):
            page = run_card(place, at.only_run, namespace=at.namespace).encode()
        sink.write(page)
    say(f"wrote {output} ({size(len(page))})")
