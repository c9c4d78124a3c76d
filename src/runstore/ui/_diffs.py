"""The page of what differs between two runs, or two objects."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runstore import queries
from runstore.arguments import shown
from runstore.errors import InvalidRequestError, RunStoreError
from runstore.names import check_name, check_namespace, check_run
from runstore.store import ObjectDiff
from runstore.ui._site import LATEST, Site

__all__ = ["diff"]

_LARGEST = 512 << 20  # bytes of an object that is compared while somebody waits


def diff(site: Site, request: Request) -> Response:
    """Show what differs between two runs or objects; without two of them, ask for them."""
    sides = [one.strip() for one in request.query_params.getlist("run") if one.strip()]
    asked: dict[str, Any] = {"sides": sides, "found": None, "problem": "", "kind": ""}
    if len(sides) != 2:
        if len(sides) > 2:
            asked["problem"] = "Choose two of them."
        return site.page("diff.html", **asked)
    try:
        whole = [_whole(site, side) for side in sides]
        for side in whole:
            _check(site, side)
        asked["found"] = found = site.store.diff(*whole)
    except RunStoreError as exc:
        return site.page("diff.html", **asked | {"problem": str(exc)})
    asked["kind"] = "objects" if isinstance(found, ObjectDiff) else "runs"
    return site.page("diff.html", **asked)


def _whole(site: Site, side: str) -> str:
    """Return a name with a run; ``_latest`` is looked up.

    Raises:
        InvalidRequestError: It names no run.
        ObjectNotFoundError: No run is the latest.
    """
    if side.startswith("runstore://"):
        return side
    namespace, _, rest = side.partition("/")
    run, slash, name = rest.partition("/")
    if not run:
        raise InvalidRequestError(
            f"{shown(side)} names no run: write NAMESPACE/RUN, or NAMESPACE/RUN/NAME", side
        )
    if run == LATEST:
        run = queries.latest_run(site.store, check_namespace(namespace))
    return f"{namespace}/{run}{slash}{name}"


def _check(site: Site, side: str) -> None:
    """Raise for what is no name, or takes too long to be compared here."""
    if side.startswith("runstore://"):
        side = re.sub("@[0-9a-f]{32}$", "", side.removeprefix("runstore://"))
    namespace, _, rest = side.partition("/")
    run, _, name = rest.partition("/")
    check_namespace(namespace)
    shared = run == "_shared"
    if not shared:
        check_run(run)
    if not name:
        return
    scope = site.store.at(namespace=namespace, run=None if shared else run)
    info = scope.stat(check_name(name), scope="namespace" if shared else "run")
    if info.size > _LARGEST:
        raise InvalidRequestError(
            f"{side} is too large to be compared here: use `runstore diff` in a shell", side
        )
