"""`cp` and `mv`: objects under other names, in other runs and namespaces of the store."""

from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store, told_as_option
from runstore.cli._output import counted, describe_info, emit_json, say, say_error, size
from runstore.cli._refs import Ref, check_not_empty, nothing_in, parse_ref, resolved
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, ObjectNotFoundError

if TYPE_CHECKING:
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["cp", "mv"]

_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="NS/RUN/NAME or NS/_shared/NAME; with -r also NS/RUN.",
        autocompletion=complete_ref,
    ),
]
_Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The same; the name may be omitted if it stays.",
        autocompletion=complete_ref,
    ),
]
_Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="An object and all below NAME/, or all of a run.")
]
_IfAbsent = Annotated[bool, typer.Option("--if-absent", help="Fail if TARGET is taken.")]


def cp(
    source: _Source,
    target: _Target,
    recursive: _Recursive = False,
    if_absent: _IfAbsent = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Copy an object inside the store; the place copies it where it can.

    Each object is copied all or nothing, and replaces another one of that name. The record of a
    run is not copied.
    """
    place = open_store(store)
    copied = _copied(place, source, target, recursive, if_absent)
    _report("copied", [(was, info) for was, info, *_ in copied], as_json)


def mv(
    source: _Source,
    target: _Target,
    recursive: _Recursive = False,
    if_absent: _IfAbsent = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Copy an object inside the store, and then remove the source.

    These are two steps: others may see both objects for a moment, and if it is interrupted both
    may stay. Nothing is removed before all is copied.
    """
    place = open_store(store)
    copied = _copied(place, source, target, recursive, if_absent)
    for was, _, (at, name), version in copied:
        view = at.view(place)
        try:
            there = view.stat(name, scope=at.scope).version
        except ObjectNotFoundError:
            continue
        if there == version:
            view.delete(name, scope=at.scope, missing_ok=True)
        else:
            say_error(f"{was} was put again meanwhile: it is copied as it was, and stays")
    _report("moved", [(was, info) for was, info, *_ in copied], as_json)


def _copied(
    store: "ObjectStore", source: str, target: str, recursive: bool, if_absent: bool
) -> "list[tuple[str, ObjectInfo, tuple[Ref, str], str | None]]":
    at, to = resolved(store, parse_ref(source)), resolved(store, parse_ref(target))
    for given, one in ((source, at), (target, to)):
        if one.run is None:
            raise InvalidRequestError(
                f"{given!r} is a namespace: write NS/RUN/NAME or NS/_shared/NAME", given
            )
    if not at.name and not recursive:
        check_not_empty(store, at)
        raise InvalidRequestError(f"{source!r} is more than one object: add --recursive", source)
    pairs = _pairs(store, at, to) if recursive else [(at.name, _one(at, to))]
    if (at.namespace, at.run) == (to.namespace, to.run):
        _check_apart(pairs, source, target)
    view, copied = at.view(store), []
    with transfer(f"copying {at}") as progress:
        for number, (name, new) in enumerate(pairs):
            version = view.stat(name, scope=at.scope).version
            with told_as_option(to.place(new)):
                info = view.copy(
                    name,
                    scope=at.scope,
                    to_name=new,
                    to_scope=to.scope,
                    to_run=to.only_run,
                    to_namespace=to.namespace,
                    if_absent=if_absent,
                )
            copied.append((str(at.place(name)), info, (at, name), version))
            progress(number + 1, len(pairs))
    return copied


def _check_apart(pairs: list[tuple[str, str]], source: str, target: str) -> None:
    """Raise InvalidRequestError if an object would be written over another one of the source."""
    if any(name == new for name, new in pairs):
        raise InvalidRequestError(f"{source!r} and {target!r} are the same", source)
    sources = {name for name, _ in pairs}
    if taken := sorted(new for _, new in pairs if new in sources):
        raise InvalidRequestError(
            f"{target!r} lies within {source!r}: {taken[0]!r} would be written over before it is "
            "copied. Use a name beside it, and move that afterwards",
            target,
        )


def _one(at: Ref, to: Ref) -> str:
    last = at.name.rpartition("/")[2]
    return to.name + last if to.name.endswith("/") else to.name or at.name


def _pairs(store: "ObjectStore", at: Ref, to: Ref) -> list[tuple[str, str]]:
    """Return the names of all objects that are meant, and what they are called afterwards."""
    start, goal = at.name.rstrip("/"), to.name.rstrip("/")
    names = [info.name for info in at.view(store).list(start, scope=at.scope)]
    names = [n for n in names if not start or n == start or n.startswith(f"{start}/")]
    if not names:
        raise nothing_in(store, at)
    if not goal:
        return [(name, name) for name in names]
    return [(n, f"{goal}/{rest}" if (rest := n[len(start) :].strip("/")) else goal) for n in names]


def _report(what: str, done: "list[tuple[str, ObjectInfo]]", as_json: bool) -> None:
    if as_json:
        emit_json({what: [{"from": was, **describe_info(info)} for was, info in done]})
        return
    total = size(sum(info.size for _, info in done))
    if len(done) == 1:
        say(f"{what} {done[0][0]} to {done[0][1].place} ({total})")
    else:
        say(f"{what} {counted(len(done), 'object')} ({total})")
