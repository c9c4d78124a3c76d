"""`put` and `rm`: the commands that change the store."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from runstore.cli._completion import complete_file, complete_ref
from runstore.cli._inputs import pairs
from runstore.cli._options import (
    DebugOption,
    JsonOption,
    StoreOption,
    open_store,
    told_as_option,
    told_in_shell,
)
from runstore.cli._output import asked, counted, describe_info, emit_json, say, size
from runstore.cli._refs import check_not_empty, nothing_in, object_place, parse_ref, resolved
from runstore.cli._transfer import transfer
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunActiveError,
)
from runstore.keys import ARROW, FORMATS, SHARED, Place, extension_of
from runstore.scratch import translated_scratch

if TYPE_CHECKING:
    from runstore.cli._refs import Ref
    from runstore.store import ObjectInfo, ObjectStore, StoreView

__all__ = ["put", "rm"]


def put(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="NS/RUN/NAME or NS/_shared/NAME.", autocompletion=complete_ref
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A file or a folder; - for stdin.", autocompletion=complete_file
        ),
    ],
    as_format: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="FORMAT",
            help="Read it in this format, whatever FILE is called: parquet, csv, arrow, json, npy, "
            "txt or bin.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="K=V",
            help="Kept with the object; JSON if V is JSON, else text; repeatable.",
        ),
    ] = None,
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Fail if there is such an object.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="PATTERN", help="Of a folder: only such files."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Of a folder: no such files."),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Of a folder: store what links lead to.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Store the content of a file, of stdin, or of a folder.

    If NAME has the extension of a file, such as .html, .png or .onnx, the file is stored as it
    is; so is what comes from stdin, and all files of a folder. Else it is read in the format
    of FILE's extension: parquet, csv, arrow and feather are tables, json is plain data, npy an
    array, txt text; anything else is bytes.
    """
    if file != Path("-") and not os.access(file, os.R_OK):
        what = "cannot be read" if os.path.exists(file) else "does not exist"  # noqa: PTH110 - raises nothing
        hint = ""
        if ref == "-" or ref.count("/") < 2 or os.path.isfile(ref):  # it names no object  # noqa: PTH113 - raises nothing
            hint = f": the object stands first, as in runstore put {file} {ref}"
        raise InvalidRequestError(f"{str(file)!r} {what}{hint}", str(file))
    if file.is_fifo():
        raise InvalidRequestError(
            f"{str(file)!r} is a pipe, not a file: give - instead of it, and pipe the content in, "
            f"as in: COMMAND | runstore put {ref} -",
            str(file),
        )
    kept = pairs("--metadata", metadata) or None
    place = open_store(store)
    at = object_place(place, ref)
    view = place.at(namespace=at.namespace, run=at.run)
    with told_as_option(at), transfer(f"storing {at}"):
        if as_format is not None or (
            os.path.isfile(file) and extension_of(at.name) in FORMATS | {ARROW}  # noqa: PTH113 - raises nothing
        ):
            value = _read(file, as_format)
            info = view.put(at.name, value, scope=at.scope, metadata=kept, if_absent=if_absent)
        elif file == Path("-"):
            info = _put_stdin(view, at, if_absent, kept)
        elif os.path.isdir(file):  # noqa: PTH112 - raises nothing
            with told_in_shell(symlinks="--follow-links", exclude="--exclude"):
                info = view.put_dir(
                    at.name,
                    file,
                    scope=at.scope,
                    metadata=kept,
                    include=include,
                    exclude=exclude,
                    symlinks="follow" if follow_links else "refuse",
                    if_absent=if_absent,
                )
        else:
            _refuse_metadata(kept, at)
            info = view.put_file(at.name, file, scope=at.scope, if_absent=if_absent)
    if as_json:
        emit_json(describe_info(info))
    else:
        say(f"stored {at} ({size(info.size)})")


def _read(file: Path, as_format: str | None) -> Any:
    """Read what is to be stored, from a file or from stdin."""
    from runstore.cli._files import check_format, read_value

    if as_format is not None:
        check_format(as_format)
    if file != Path("-"):
        return read_value(file, as_format)
    with translated_scratch("make a temporary file"):
        # Without a buffer: nothing is left that closing it would write to a disk that is full.
        temporary = tempfile.NamedTemporaryFile(  # noqa: SIM115 - the next line has it
            prefix="runstore-", suffix=f".{as_format}", buffering=0
        )
    with temporary as kept:
        _collect(kept)
        return read_value(Path(kept.name), as_format)


def _collect(file: Any) -> None:
    """Copy stdin to a temporary file; what stdin itself raises is not about that file."""
    while piece := sys.stdin.buffer.read(_PIECE):
        rest = memoryview(piece)
        with translated_scratch("collect what comes from stdin"):
            while rest:
                rest = rest[file.write(rest) :]


def _refuse_metadata(kept: dict[str, Any] | None, at: Place) -> None:
    if kept:
        raise InvalidRequestError(
            f"{at} is stored as a plain file, which has no room for metadata: name it without an "
            "extension, or omit --metadata",
            str(at),
        )


def _put_stdin(
    view: "StoreView", at: Place, if_absent: bool, metadata: dict[str, Any] | None
) -> "ObjectInfo":
    """Store what comes from stdin: as a file, or as bytes where the name says of no file."""
    source = sys.stdin.buffer
    first = source.read(_PIECE)
    if extension_of(at.name) == ARROW and not first.startswith(b"ARROW1\0\0"):
        return view.put(
            at.name,
            first + source.read(),
            scope=at.scope,
            metadata=metadata,
            if_absent=if_absent,
        )
    _refuse_metadata(metadata, at)
    mode: Literal["wb", "xb"] = "xb" if if_absent else "wb"
    with view.open(at.name, mode, scope=at.scope) as file:
        while first:
            file.write(first)
            first = source.read(_PIECE)
    assert file.info is not None
    return file.info


_PIECE = 1 << 20  # bytes


def rm(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="NS/RUN/NAME; with -r NS/RUN, too.",
            autocompletion=complete_ref,
        ),
    ],
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Remove a whole run and its record, or an object and all below NAME/.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can answer.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also a run that is still running.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Remove an object; with --recursive many, after a question."""
    place = open_store(store)
    at = parse_ref(ref)
    if not recursive:
        if at.run is not None and not at.name:
            check_not_empty(place, resolved(place, at))
            raise InvalidRequestError(f"{ref!r} is more than one object: add --recursive", ref)
        one = object_place(place, ref)
        place.at(namespace=one.namespace, run=one.run).delete(one.name, scope=one.scope)
        _report([str(one)], as_json)
        return
    if at.run is None:
        raise InvalidRequestError(
            f"{ref!r} is a whole namespace: remove its runs and its {SHARED} one by one", ref
        )
    at = resolved(place, at)
    found = _below(place, at)
    whole = at.only_run is not None and not at.name
    recorded = whole and _state(place, at) is not None
    if not found and not recorded:
        raise nothing_in(place, at)
    if not yes and not _agreed(place, at, found):
        say("nothing was removed")
        return
    with transfer(f"removing {counted(len(found), 'object')} of {at}"):
        if whole and at.run is not None:
            try:
                place.delete_run(at.run, namespace=at.namespace, force=force)
            except RunActiveError as exc:
                if force:
                    raise
                raise RunActiveError(
                    f"run '{at}' is not removed: its record says that it is running. Wait until it "
                    f"has ended, or stop it with `runstore cancel {at}`. If it must go at once: "
                    f"`runstore rm -r --force {at}`",
                    str(at),
                ) from exc
        else:
            names = [info.name for info in found]
            at.view(place).delete_many(names, scope=at.scope, missing_ok=True)
    _report([str(info.place) for info in found] + ([str(at)] if recorded else []), as_json)


def _below(store: "ObjectStore", at: "Ref") -> "list[ObjectInfo]":
    """Return the object of that name and all in its folder; ``train`` is not ``training``."""
    name = at.name.rstrip("/")
    return [
        info
        for info in at.view(store).list(name, scope=at.scope)
        if not name or info.name == name or info.name.startswith(f"{name}/")
    ]


def _state(store: "ObjectStore", at: "Ref") -> str | None:
    if at.run is None:
        return None
    try:
        return store.read_run(at.run, namespace=at.namespace).state
    except ObjectNotFoundError:
        return None
    except CorruptObjectError:
        return "unreadable"  # it can be removed all the same


def _agreed(store: "ObjectStore", at: "Ref", found: "list[ObjectInfo]") -> bool:
    what = f"{counted(len(found), 'object')} ({size(sum(info.size for info in found))}) of {at}"
    state = _state(store, at) if not at.name else None
    if state is not None:
        what += " and its record"
    if not sys.stdin.isatty():
        raise InvalidRequestError(f"this would remove {what}: add --yes to do it", str(at))
    if state == "running":
        say("the record of this run says that it has not ended")
    return asked(f"Remove {what}?")


def _report(refs: list[str], as_json: bool) -> None:
    if as_json:
        emit_json({"removed": refs})
    elif len(refs) == 1:
        say(f"removed {refs[0]}")
    else:
        say(f"removed {len(refs):,} objects and records")
