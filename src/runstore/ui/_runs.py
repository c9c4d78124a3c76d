"""The pages of namespaces, runs and the search."""

from functools import partial
from typing import Any, TypeVar, get_args

from starlette.requests import Request
from starlette.responses import Response

from runstore import queries
from runstore.arguments import in_shell, shown
from runstore.context import RunState
from runstore.errors import CorruptObjectError, InvalidRequestError, ObjectNotFoundError
from runstore.names import check_namespace, check_run
from runstore.pages import bars_of, ends_of, run_page
from runstore.ui._site import Site, number_in

T = TypeVar("T")

__all__ = ["namespaces", "run", "runs", "search", "shared"]


def namespaces(site: Site, request: Request) -> Response:
    """Show every namespace."""
    return site.page("namespaces.html", namespaces=queries.namespaces(site.store))


def runs(site: Site, request: Request) -> Response:
    """Show the runs of a namespace, newest first."""
    namespace = check_namespace(request.path_params["namespace"])
    asked = {name: request.query_params.get(name, "") for name in ("text", "state", "workflow")}
    page = number_in(request, "page", 1, 1)
    states = get_args(RunState)
    if asked["state"] not in ("", *states):
        raise InvalidRequestError(
            f"state={shown(asked['state'])} in the address: it is one of {', '.join(states)}",
            asked["state"],
        )
    values = {"namespace": namespace, "more_by": f"runstore ls {in_shell(namespace)}"}
    if request.query_params.get("only") == "bare":
        others = queries.unrecorded(site.store, namespace, text=asked["text"])
        _known(site, namespace, others)
        return site.page("bare.html", bare=others, text=asked["text"], **values)
    later = partial(site.afterwards, namespace)
    found = queries.runs_page(site.store, namespace, **asked, page=page, later=later)
    first = page == 1 and not (asked["state"] or asked["workflow"])
    # Far away these take a listing of all runs. Where there are others the page does not wait.
    at_once = first and not found.items
    bare = queries.unrecorded(site.store, namespace, text=asked["text"]) if at_once else None
    _known(site, namespace, found, bare)
    _there(found)
    return site.page(
        "runs.html",
        bare=bare,
        bare_later=first and not at_once,
        runs=found,
        bars=bars_of(found.items),
        line=ends_of(found.items),
        states=states,
        **values,
        **asked,
    )


def shared(site: Site, request: Request) -> Response:
    """Show the objects that all runs of a namespace share."""
    namespace = check_namespace(request.path_params["namespace"])
    return site.page("shared.html", namespace=namespace, **_objects(site, request, namespace, None))


def run(site: Site, request: Request) -> Response:
    """Show a run: its stages, what it was given, and its objects."""
    namespace = check_namespace(request.path_params["namespace"])
    name = check_run(request.path_params["run"])
    record, problem = None, ""
    try:
        record = site.store.read_run(name, namespace=namespace)
    except ObjectNotFoundError as exc:
        problem = "" if _has_objects(site, namespace, name) else str(exc)
        if problem:
            raise
    except CorruptObjectError as exc:
        problem = str(exc)
    values = _objects(site, request, namespace, name)
    if record is not None:
        values |= run_page(record, values.pop("infos"))
        values["graph_drawn"] = values.pop("graph")
        values["logs"] = queries.logs_of(site.store, record)
    values.setdefault("objects", values.get("infos"))
    return site.page(
        "run.html",
        namespace=namespace,
        marks=site.store.marks(name, namespace=namespace),
        **{"run": record, "problem": problem, "logs": []} | values,
    )


def search(site: Site, request: Request) -> Response:
    """Show what has a text in its name."""
    asked = request.query_params.get("q", "").strip()
    found = queries.searched(site.store, asked) if asked else queries.Found([], [], [], False)
    return site.page("search.html", q=asked, found=found)


def _objects(site: Site, request: Request, namespace: str, run: str | None) -> dict[str, Any]:
    text = request.query_params.get("text", "")
    page = number_in(request, "page", 1, 1)
    found = _there(queries.objects_page(site.store, namespace, run, text=text, page=page))
    return {
        "infos": found.items,
        "objects": [_listed(info) for info in found.items],
        "run_name": run or "_shared",
        "text": text,
        "page": page,
        "more": found.more,
    }


def _known(site: Site, namespace: str, *found: queries.Page[Any] | None) -> None:
    """Raise ObjectNotFoundError if there is no such namespace; what was *found* shows that."""
    if any(page is not None and page.items for page in found):
        return
    if namespace not in site.store.namespaces():
        raise ObjectNotFoundError(f"no namespace {namespace!r} in {site.store.url}", namespace)


def _there(found: queries.Page[T]) -> queries.Page[T]:
    """Return a page of a list; raise InvalidRequestError if the list has ended before it."""
    if found.page > 1 and not found.items:
        raise InvalidRequestError(f"there is no page {found.page}: the list is shorter", "page")
    return found


def _listed(info: Any) -> dict[str, Any]:
    fields = ("name", "rows", "columns", "size", "stage", "created_at", "format")
    return {"type": info.python_type, **{name: getattr(info, name) for name in fields}}


def _has_objects(site: Site, namespace: str, run: str) -> bool:
    return next(site.store.at(namespace=namespace, run=run).iter(), None) is not None
