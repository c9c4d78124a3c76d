"""The page of an object, and stored files as they are."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from runstore import queries
from runstore.arguments import in_shell
from runstore.buffers import flat
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    RunStoreError,
    UnsafePickleError,
    UnsupportedFormatError,
)
from runstore.keys import Place, key_of
from runstore.names import check_name, check_namespace, check_run
from runstore.pages import drawn
from runstore.queries import IMAGES, Look, Shape
from runstore.store.rows import open_rows, read_start
from runstore.ui._guard import FRAMED
from runstore.ui._site import Site, number_in

if TYPE_CHECKING:
    from runstore.store import ObjectInfo

__all__ = ["raw", "shown"]

_LARGEST_RAW = 32 << 20  # bytes of a file that is handed to the browser
_TRACED = 200  # newest runs that are looked through for what was made of an object
_PROFILED = 20  # columns of one page


def shown(site: Site, request: Request) -> Response:
    """Show an object: what it is, how it begins, and where it can be read."""
    place = _place(request)
    info = site.store.at(namespace=place.namespace, run=place.run).stat(
        place.name, scope=place.scope
    )
    shape = Shape(number_in(request, "start", 0), column=number_in(request, "column", 0))
    look, problem = None, ""
    values = {
        "namespace": place.namespace,
        "run_name": place.run or "_shared",
        "info": info,
        "column": shape.column,
    }
    if request.query_params.get("only") == "profile":
        return _section(site, "profile.html", values, lambda: _profile(site, place, shape.column))
    if request.query_params.get("only") == "lineage":
        return _section(site, "lineage.html", values, lambda: _lineage(site, place))
    try:
        look = queries.look_at(site.store, info, shape)
    except (
        CorruptObjectError,
        InvalidRequestError,
        UnsafePickleError,
        UnsupportedFormatError,
    ) as exc:
        problem = str(exc)
    return site.page(
        "object.html",
        **values,
        look=look,
        problem=problem,
        profile=None,
        profile_of=_has_columns(info, look),
        lineage_of=not (info.codec is None and info.size > _LARGEST_RAW),
        raw=f"/raw{request.url.path}",
        reading=_reading(site, info),
        **_steps(look, shape),
    )


def raw(site: Site, request: Request) -> Response:
    """Hand out a stored picture or page, so that it is shown and cannot run or load anything."""
    place = _place(request)
    extension = place.name.rpartition(".")[2].lower()
    media = IMAGES.get(extension, "text/html" if extension in ("html", "htm") else None)
    if media is None:
        raise InvalidRequestError(f"{place} is no picture and no page", str(place))
    data, entry = read_start(site.store, place, _LARGEST_RAW)
    if entry.size > _LARGEST_RAW:
        raise InvalidRequestError(f"{place} is too large to be shown", str(place))
    headers = {"content-security-policy": FRAMED}
    return Response(bytes(flat(data)), media_type=media, headers=headers)


def _place(request: Request) -> Place:
    given = request.path_params
    run = given.get("run")
    return Place(
        check_namespace(given["namespace"]),
        None if run is None else check_run(run),
        check_name(given["name"]),
    )


def _has_columns(info: "ObjectInfo", look: Look | None) -> bool:
    return look is not None and look.kind == "table" and info.codec is not None


def _section(
    site: Site, template: str, values: dict[str, Any], found: Callable[[], dict[str, Any]]
) -> Response:
    """Show a part of the page, or why there is none: the rest of the page stays as it is."""
    try:
        told = found() | {"problem": ""}
    except RunStoreError as exc:
        told = {"problem": str(exc)}
    return site.page(template, **values, **told)


def _profile(site: Site, place: Place, first: int) -> dict[str, Any]:
    table = open_rows(site.store, place)
    if table is None:
        raise InvalidRequestError(f"{place} is no table", str(place))
    columns = range(len(table.columns))[first : first + _PROFILED]
    return {"profile": queries.profiled(table, columns)}


def _lineage(site: Site, place: Place) -> dict[str, Any]:
    view = site.store.at(namespace=place.namespace, run=place.run)
    found = view.lineage(place.name, scope=place.scope, runs=_TRACED)
    graph = queries.lineage_graph(found)
    drawing = drawn(graph) if len(graph.nodes) > 1 else None
    return {"drawing": drawing, "count": len(graph.nodes), "gaps": found.gaps}


def _steps(look: Look | None, shape: Shape) -> dict[str, Any]:
    """Return the links to other parts of a table, and what part this is."""
    if look is None or look.rows is None:
        return {"steps": [], "counted": ""}
    rows = look.rows
    steps: list[tuple[str, int, int]] = []
    last = rows.start + len(rows.cells)
    if rows.start:
        steps.append(("← Rows before", max(0, rows.start - shape.rows), rows.first_column))
    if rows.total is not None and last < rows.total:
        steps.append(("Next rows →", last, rows.first_column))
        final = (rows.total - 1) // shape.rows * shape.rows
        if final > last:
            steps.append(("Last rows", final, rows.first_column))
    if rows.first_column:
        steps.append(("← Columns before", rows.start, max(0, rows.first_column - shape.columns)))
    behind = rows.first_column + len(rows.columns)
    if behind < rows.all_columns:
        steps.append(("More columns →", rows.start, behind))
    total = "" if rows.total is None else f" of {rows.total:,}"
    counted = (
        f"rows {rows.start:,} to {max(rows.start, last - 1):,}{total}" if rows.cells else "no rows"
    )
    if rows.all_columns > len(rows.columns):
        counted += f", columns {rows.first_column + 1:,} to {behind:,} of {rows.all_columns:,}"
    return {"steps": steps, "counted": counted}


def _reading(site: Site, info: "ObjectInfo") -> list[tuple[str, str]]:
    """Return where the object can be read: in Python, in a shell, as a file."""
    place, url = info.place, str(site.store.url)
    shown_url = url.removeprefix("file://")
    scope = "" if place.run is not None else ', scope="namespace"'
    at = f"namespace={json.dumps(place.namespace)}"
    if place.run is not None:
        at += f", run={json.dumps(place.run)}"
    return [
        (
            "in Python",
            f"ObjectStore({json.dumps(shown_url)}).at({at}).get({json.dumps(place.name)}{scope})",
        ),
        ("in a shell", f"runstore show {in_shell(str(place))}"),
        ("by readers of fsspec", f"runstore://{place}"),
        ("the file", f"{url}/{key_of(place)}".removeprefix("file://")),
    ]
