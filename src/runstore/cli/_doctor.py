"""`doctor` and `config show`: what is set, what works, and what to do where it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from runstore.cli._exits import FAILED
from runstore.cli._findings import Finding
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import Column, counted, emit_json, finding, say, table
from runstore.secret_names import shown_address

__all__ = ["config", "doctor"]

_PATIENCE = 20.0  # seconds that a place is waited for, at most

config = typer.Typer(help="Show the settings.", no_args_is_help=True)


@config.command("show")
def show_config(
    as_json: JsonOption = False, store: StoreOption = None, debug: DebugOption = False
) -> None:
    """Show every setting, and where it comes from."""
    from runstore.settings import origins

    found = origins()
    if as_json:
        emit_json({"settings": [one._asdict() for one in found]})
        return
    rows = [[one.name, "(wrong)" if one.wrong else one.value, one.source] for one in found]
    table([Column("setting"), Column("value"), Column("from")], rows)
    for one in found:
        if one.wrong:
            say(f"wrong: {one.wrong}")
    if store is not None:
        say(f"the store is {shown_address(store)}, given by --store")


def doctor(
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Move some megabytes to measure the speed.")
    ] = True,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Look whether the store can be used, and tell what to do where it cannot.

    It checks versions, settings, credentials, permissions, the clock, conditional writes and
    speed. For that it writes a few small objects under a hidden name, and removes them. The exit
    code is 1 if there is a fault.
    """
    found = []
    for one in _findings(store, speed):
        found.append(one)
        if not as_json:
            finding(one.state, one.check, one.told, one.cure)
    faults = sum(one.state == "fault" for one in found)
    warnings = sum(one.state == "warning" for one in found)
    if as_json:
        document = {"findings": [one._asdict() for one in found]}
        emit_json(document | {"faults": faults, "warnings": warnings})
    else:
        say(f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}")
    if faults:
        raise typer.Exit(FAILED)


def _findings(url: str | None, speed: bool) -> Iterator[Finding]:
    from runstore.cli._findings import fault, on_disk, settings, versions
    from runstore.cli._trials import trials
    from runstore.errors import RunStoreError, SettingsError
    from runstore.settings import origins

    yield from versions()
    try:
        yield from settings(url)
        if any(one.wrong for one in origins()):
            return
    except SettingsError as exc:
        yield fault("settings", exc)
        return
    try:
        place = open_store(url, longest=_PATIENCE)
    except RunStoreError as exc:
        yield fault("store", exc)
        return
    with place:
        full = False
        if place.url.startswith("file://"):
            for one in on_disk(Path(place.url.removeprefix("file://"))):
                full = full or (one.check, one.state) == ("space", "fault")
                yield one
        for one in trials(place, speed=speed):
            if not (full and one.check == "space"):  # which has been told
                yield one
    yield Finding("cache", "ok", "none: this version of runstore keeps no cache on this machine")
