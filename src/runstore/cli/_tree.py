"""`tree`: what is stored, drawn by namespace, run and name."""

from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import counted, emit, say, size
from runstore.cli._refs import Ref, parse_ref, resolved
from runstore.cli._scopes import each_readable, must_be_there, sizes_of
from runstore.cli._transfer import transfer
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["tree"]

_Node = dict[str, "_Node | int"]


def tree(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="REF",
            help="NS, NS/RUN, NS/_shared, or NS/RUN/PREFIX.",
            autocompletion=complete_ref,
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="How many levels to draw.")
    ] = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Draw the objects as a tree of namespaces, runs and names, with their sizes."""
    place = open_store(store)
    with transfer("listing"):
        title, node = _found(place, ref)
    if not node:
        say(f"nothing is stored in {title}")
        return
    emit(title)
    _draw(node, "", depth)


def _found(store: "ObjectStore", ref: str | None) -> tuple[str, _Node]:
    if ref is None:
        each = each_readable(store.namespaces(), lambda one: _of_namespace(store, one))
        return str(store.address.url), dict(each)
    at = resolved(store, parse_ref(ref), complete=True)
    must_be_there(store, at)
    if at.run is None:
        return str(at), _of_namespace(store, at.namespace)
    found, _ = sizes_of(store, at.namespace, at.only_run, at.name)
    return str(Ref(at.namespace, at.run)), _of(found)


def _of_namespace(store: "ObjectStore", namespace: str) -> _Node:
    from runstore.store import every_object

    found: dict[str | None, list[ObjectInfo]] = {}
    for info in every_object(store, namespace, {}):
        found.setdefault(info.run, []).append(info)
    return {run or SHARED: _of(found[run]) for run in sorted(found, key=lambda one: one or "")}


def _of(infos: "list[ObjectInfo]") -> _Node:
    root: _Node = {}
    for info in sorted(infos, key=lambda one: one.name):
        *folders, last = info.name.split("/")
        at = root
        for folder in folders:
            below = at.setdefault(f"{folder}/", {})  # ``a`` may be an object beside ``a/b``
            assert isinstance(below, dict)
            at = below
        at[last] = info.size
    return root


def _draw(node: _Node, before: str, depth: int | None) -> None:
    for number, (name, below) in enumerate(node.items(), 1):
        last = number == len(node)
        line = f"{before}{'└── ' if last else '├── '}{name}"
        if not isinstance(below, dict):
            emit(f"{line}  {size(below)}")
            continue
        if depth == 1:
            emit(f"{line}  ({counted(_count(below), 'object')})")
            continue
        emit(line)
        _draw(below, before + ("    " if last else "│   "), depth and depth - 1)


def _count(node: _Node) -> int:
    return sum(_count(below) if isinstance(below, dict) else 1 for below in node.values())
