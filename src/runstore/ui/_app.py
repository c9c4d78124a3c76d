"""The application: which address shows what."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from runstore import errors
from runstore.errors import RunStoreError
from runstore.names import check_namespace
from runstore.pages import STATIC, address, environment
from runstore.queries import latest_run
from runstore.ui import _diffs, _objects, _runs
from runstore.ui._guard import Guard
from runstore.ui._site import LATEST, Site

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["application"]

_FILES = {
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "ui.css": "text/css",
    "ui.js": "text/javascript",
}
_STATUS: tuple[tuple[type[RunStoreError], int, str], ...] = (
    (errors.ObjectNotFoundError, 404, "There is no such thing"),
    (errors.InvalidNameError, 400, "This is no name"),
    (errors.InvalidRequestError, 400, "This cannot be shown"),
    (errors.CorruptObjectError, 422, "What is stored is damaged"),
    (errors.UnsupportedFormatError, 422, "This version cannot read this"),
    (errors.AccessDeniedError, 403, "The place refuses to show this"),
    (errors.BackendUnavailableError, 503, "The place does not answer"),
)


def application(store: "ObjectStore", *, token: str | None, host: str = "127.0.0.1") -> Guard:
    """Return the browser view of a store, as an ASGI application that only reads.

    Args:
        store: What is shown.
        token: What whoever looks has to have; None for nobody is asked.
        host: The name or address that the server listens on, for the check of ``Host``.

    Raises:
        MissingExtraError: The template engine is not installed.
    """
    site = Site(store, environment())
    shown: dict[str, Callable[..., Response]] = {
        "/": _runs.namespaces,
        "/search": _runs.search,
        "/diff": _diffs.diff,
        "/ns/{namespace}": _runs.runs,
        "/ns/{namespace}/shared": _runs.shared,
        "/ns/{namespace}/run/{run}": _runs.run,
        "/ns/{namespace}/shared/o/{name:path}": _objects.shown,
        "/ns/{namespace}/run/{run}/o/{name:path}": _objects.shown,
        "/raw/ns/{namespace}/shared/o/{name:path}": _objects.raw,
        "/raw/ns/{namespace}/run/{run}/o/{name:path}": _objects.raw,
    }
    routes = [Route("/static/{name}", _static)]
    routes += [Route(path, _answer(site, handler)) for path, handler in shown.items()]
    inner = Starlette(
        routes=routes,
        exception_handlers={
            RunStoreError: partial(_failed, site),
            HTTPException: partial(_missing, site),
            Exception: partial(_broken, site),
        },
    )
    return Guard(inner, token, host, partial(_closed, site))


def _answer(site: Site, handler: Callable[[Site, Request], Response]) -> Callable[..., Response]:
    def answer(request: Request) -> Response:  # in a thread of Starlette's: stores block
        given = request.path_params
        if given.get("run") == LATEST:
            return _latest(site, request, check_namespace(given["namespace"]), given.get("name"))
        return handler(site, request)

    return answer


def _latest(site: Site, request: Request, namespace: str, name: str | None) -> Response:
    """Lead to the page of the newest run, or of an object of it, which has its own name."""
    target = address(namespace, latest_run(site.store, namespace), name)
    raw = "/raw" if request.url.path.startswith("/raw/") else ""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{raw}{target}{query}", 303)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _FILES:
        raise HTTPException(404)
    return FileResponse(
        STATIC / name, media_type=_FILES[name], headers={"cache-control": "max-age=3600"}
    )


def _failed(site: Site, request: Request, error: Any) -> Response:
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return site.page("error.html", status, title=title, status=status, message=str(error))
    return site.page("error.html", 500, title="This cannot be read", status=500, message=str(error))


def _broken(site: Site, request: Request, error: Any) -> Response:
    """Answer where runstore itself is at fault; the server shows the traceback, too."""
    return site.page(
        "error.html",
        500,
        title="This is a bug in runstore",
        status=500,
        message=f"{type(error).__name__}: {error}. The terminal of the server shows where.",
    )


def _missing(site: Site, request: Request, error: Any) -> Response:
    return site.page(
        "error.html",
        error.status_code,
        title="There is no such page",
        status=error.status_code,
        message="Go back to the namespaces, or search for a name.",
    )


def _closed(site: Site, title: str, message: str) -> str:
    return site.text("closed.html", title=title, message=message)
