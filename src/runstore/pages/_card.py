"""The card of a run: its page as one HTML file of bounded size, which needs no server."""

import base64
from itertools import islice
from typing import TYPE_CHECKING, Any

from runstore.arguments import check_text
from runstore.buffers import flat
from runstore.errors import InvalidNameError, RunStoreError, StorageError
from runstore.pages._environment import STATIC, check_installed, environment
from runstore.pages._run import run_page
from runstore.queries import IMAGES, Look, Shape, look_at
from runstore.store.rows import read_start

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["CARD", "LARGEST_CARD", "check_installed", "run_card"]

CARD = "card.html"
"""The name of the object that a run with ``card: true`` puts."""

LARGEST_CARD = 1_000_000
"""The most bytes that a card has."""

_LISTED = 200  # objects
_SHOWN = 30  # objects whose beginning is shown
_ROWS = Shape(rows=8, columns=12)
_TEXT = 3_000  # characters of a text
_PICTURE = 150_000  # bytes of a picture
_LEFT = 850_000  # bytes for what the objects begin with


def run_card(
    store: "ObjectStore", run: str, *, namespace: str, record: "WorkflowRun | None" = None
) -> str:
    """Return the page of a run as one HTML file: no scripts, no requests, at most a megabyte.

    Objects are shown by their beginning, however large they are; nothing is unpickled.

    Args:
        store: Where the run is.
        run: Its name.
        namespace: Its namespace.
        record: Its record, if it is not the one that is stored.

    Raises:
        MissingExtraError: The template engine is not installed.
        ObjectNotFoundError: The run has no record.
        CorruptObjectError: Its record cannot be read.
        StorageError: The place failed.
    """
    check_text("run_card", "run", run, error=InvalidNameError)
    check_text("run_card", "namespace", namespace, error=InvalidNameError)
    templates = environment()
    if record is None:
        record = store.read_run(run, namespace=namespace)
    view = store.at(namespace=namespace, run=run)
    listed = list(islice((one for one in view.iter() if one.name != CARD), _LISTED + 1))
    looked = [_shown(store, info) for info in listed[:_SHOWN]]
    described = [one["info"] for one in looked] + listed[_SHOWN:_LISTED]
    values = run_page(record, described)
    values["graph_drawn"] = values.pop("graph")
    common = {"linked": False, "namespace": namespace, "run_name": run, "text": "", "page": 1}
    head = templates.get_template("card.html")
    shown: list[dict[str, Any]] = []
    left = _LEFT
    for one in looked:
        page = templates.get_template("_card_object.html").render(common | one)
        if len(page.encode()) <= left:
            left -= len(page.encode())
            shown.append(one)
    style = (STATIC / "ui.css").read_text()
    told = {"more": len(listed) > _LISTED, "shown": shown, "style": style}
    page = head.render(common | values | told)
    if len(page.encode()) > LARGEST_CARD:  # a run of many stages, or with long errors
        page = head.render(common | values | told | {"shown": [], "definition": None})
    if len(page.encode()) > LARGEST_CARD:
        few = {"stages": values["stages"][:200], "objects": values["objects"][:50], "shown": []}
        short: dict[str, Any] = {"definition": None, "input": None, "config": None, "versions": {}}
        page = head.render(common | values | told | few | short)
    return page


def _shown(store: "ObjectStore", info: "ObjectInfo") -> dict[str, Any]:
    """Return how an object begins, or why that cannot be said."""
    try:
        view = store.at(namespace=info.namespace, run=info.run)
        info = view.stat(info.name, scope=info.scope)
        look = look_at(store, info, _ROWS)
        if look.kind == "image":
            return {"info": info, "look": look, "raw": _picture(store, info), "problem": ""}
    except StorageError:
        raise
    except RunStoreError as exc:
        return {"info": info, "look": None, "raw": None, "problem": str(exc)}
    if look.kind == "html":
        look = Look("text", note="A page; open it with `runstore get`, or in `runstore ui`.")
    cut = len(look.text) > _TEXT
    look = Look(look.kind, look.text[:_TEXT], look.cut or cut, look.rows, look.note)
    return {"info": info, "look": look, "raw": None, "problem": ""}


def _picture(store: "ObjectStore", info: "ObjectInfo") -> str | None:
    """Return a small picture as an address that contains it; None for a large one."""
    data, entry = read_start(store, info.place, _PICTURE)
    if entry.size > _PICTURE:
        return None
    encoded = base64.b64encode(bytes(flat(data))).decode()
    return f"data:{IMAGES[info.format]};base64,{encoded}"
