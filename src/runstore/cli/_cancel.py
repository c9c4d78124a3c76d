"""`cancel`: ask a run that goes on to stop."""

import time
from typing import Annotated

import typer

from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import say
from runstore.cli._refs import parse_run, resolved
from runstore.errors import InvalidRequestError, StaleRunError
from runstore.keys import SHARED
from runstore.texts import state_told

__all__ = ["cancel"]

_WAIT = 30.0  # seconds; a run that can hear of it does so within ten


def cancel(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="NS/RUN, or RUN of the default namespace.")
    ],
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Ask a run that goes on to stop, on whatever machine it is, and wait for its end."""
    at = parse_run(run)
    if at.run is None or at.run == SHARED or at.name:
        raise InvalidRequestError(f"{run!r} is no run: write NAMESPACE/RUN", run)
    place = open_store(store)
    at = resolved(place, at)
    name = at.run or ""
    state = place.read_run(name, namespace=at.namespace).state
    if state != "running":
        raise StaleRunError(f"run {str(at)!r} does not go on: it {state_told(state)}", str(at))
    place.cancel_run(name, namespace=at.namespace)
    until = time.monotonic() + _WAIT
    while time.monotonic() < until:
        found = place.read_run(name, namespace=at.namespace)
        if found.state != "running":
            stopped = found.state == "failed" and "cancelled" in (found.error or "")
            say(f"{at} {'was cancelled' if stopped else state_told(found.state)}")
            return
        time.sleep(0.3)
    say(f"{at} was asked to stop, and has not ended yet")
