"""Decoding: from the bytes of an object to its value, by its codec and under the policy."""

from functools import partial
from typing import TYPE_CHECKING, Any

from runstore import codecs, containers
from runstore.buffers import Buffer
from runstore.codecs import Pickling, file_codec
from runstore.containers import Header, Stored
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    RunStoreError,
    UnsupportedFormatError,
)
from runstore.faults import is_own_fault
from runstore.keys import AnyPlace, Place
from runstore.objects import check_place, check_version, guard_of
from runstore.versions import wrote_and_here

if TYPE_CHECKING:
    from runstore.codecs import SomeRows
    from runstore.containers import StoredParquet

__all__ = [
    "NOT_SMALL",
    "learn_small",
    "rebuilt",
    "rebuilt_file",
    "small_value",
]


NOT_SMALL: Any = object()
"""What `small_value` returns for what has to be decoded in the usual way."""


def small_value(data: Buffer, place: Place) -> Any:
    """Rebuild a small text, bytes or JSON document of which one like it was rebuilt before.

    Its header, place and digests are checked as for any other.
    """
    found = containers.open_small(data, place)
    if found is None:
        return NOT_SMALL
    header, cell = found
    try:
        return codecs.value_in(header.codec, header.spec, cell)
    except (ValueError, KeyError, RecursionError):
        return NOT_SMALL  # where it gets its error


def learn_small(opened: "Stored | StoredParquet", place: Place) -> None:
    """Take in how a small object looks, so that the next one like it needs few steps."""
    header = opened.header
    if opened.cell is None or header is None:
        return
    if codecs.is_small_kind(header.codec, header.codec_version):
        containers.learn_small(opened.data, place, header)


def rebuilt(
    opened: "Stored | StoredParquet | SomeRows",
    place: AnyPlace,
    policy: PicklePolicy,
    signed: bool,
    columns: list[Any] | None,
    as_type: type | None,
) -> Any:
    """Rebuild the value of an object, or these columns of it, as it was put or as another type.

    Args:
        opened: The object.
        place: Where it was found.
        policy: What may be unpickled.
        signed: Whether its signature has been checked.
        columns, as_type: As for `Verbs.get`.

    Raises:
        CorruptObjectError: It belongs to another place, or its bytes are wrong.
        UnsupportedFormatError: Its bytes are the ones written, and yet it cannot be rebuilt.
        RunStoreError: Whatever its codec says.
    """
    if opened.header is not None:
        check_place(opened.header, place)
    try:
        return _decoded(opened, policy, signed, columns, as_type)
    except CorruptObjectError as exc:
        if exc.ref is not None:
            raise
        raise CorruptObjectError(f"{place}: {exc.message}", str(place)) from exc
    except (RunStoreError, MemoryError):
        raise
    except Exception as exc:  # whatever a library, or code that a pickle calls, raises
        if is_own_fault(exc):
            raise
        opened.check_all()  # numbers that were not checked so far may be damaged
        raise _not_rebuilt(place, opened.header, exc) from exc


def rebuilt_file(
    data: Buffer,
    place: AnyPlace,
    extension: str,
    policy: PicklePolicy,
    columns: list[Any] | None,
    as_type: type | None,
) -> Any:
    """Rebuild the value of a file without a header of ours; arguments and errors as `rebuilt`."""
    ref = str(place)
    codec = file_codec(extension, ref)
    pickling = Pickling(
        policy,
        ref,
        check_decoded=partial(guard_of(policy).check_decoded, ref=ref),
        is_intact=partial(containers.check_file, extension, data, ref),
    )
    try:
        value = codec.decode(data, ref, pickling)
    except (RunStoreError, MemoryError):
        raise
    except Exception as exc:  # likewise
        if is_own_fault(exc):
            raise
        containers.check_file(extension, data, ref)
        raise _not_rebuilt(place, None, exc) from exc
    value = value if columns is None else codecs.selected(value, columns, ref)
    return value if as_type is None else codecs.converted(value, as_type, ref)


def _decoded(
    opened: "Stored | StoredParquet | SomeRows",
    policy: PicklePolicy,
    signed: bool,
    columns: list[Any] | None,
    as_type: type | None,
) -> Any:
    header: Header | None = opened.header
    ref, versions = opened.ref, dict[str, str]()
    if header is None:  # another program's file
        name, version, spec = "arrow", 1, {"kind": "table"}
    else:
        name, version, spec = header.codec, header.codec_version, header.spec
        versions = header.versions
    if as_type is not None and columns is None:
        stored = codecs.stored_as(name, version, opened, spec, as_type)
        if stored is not None:
            return stored
    codec = codecs.codec_named(name)
    check_version(ref, codec.name, version, codec.version)

    def is_intact() -> bool:
        opened.check_all()
        return opened.verified is True

    pickling = Pickling(
        policy,
        ref,
        signed=signed,
        versions=versions,
        is_intact=is_intact,
        check_decoded=partial(guard_of(policy, signed).check_decoded, ref=ref),
        taken=getattr(opened, "taken", 0),
    )
    return codecs.decode(codec, opened, spec, pickling, columns, as_type)


def _not_rebuilt(place: AnyPlace, header: Header | None, exc: Exception) -> UnsupportedFormatError:
    """Return the error for an object that cannot be rebuilt although its bytes are right."""
    versions = header.versions if header is not None else {}
    intact = "Its bytes are the ones that were written" if header else "It looks undamaged"
    reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    return UnsupportedFormatError(
        f"{place} cannot be rebuilt here ({reason}). {intact}. It was written by "
        f"{wrote_and_here(versions)}: install the versions that wrote it. "
        "If they are the same, report this as a bug of runstore",
        str(place),
    )
