"""Bytes that were read to the value they stand for: by the codec they name, under the policy."""

from typing import TYPE_CHECKING, Any

from runstore import codecs
from runstore import format as containers
from runstore.buffers import Buffer
from runstore.codecs import Pickling, file_codec
from runstore.context import PicklePolicy
from runstore.errors import CorruptObjectError, RunStoreError, UnsupportedFormatError
from runstore.format import Header, Stored, Verify
from runstore.keys import Place

if TYPE_CHECKING:
    from runstore.format import StoredParquet

__all__ = ["check_place", "open_object", "rebuilt", "rebuilt_file"]


def open_object(
    data: Buffer, ref: str, extension: str, verify: Verify = "auto", *, mapped: bool = False
) -> "Stored | StoredParquet":
    """Open the bytes of an Arrow or Parquet file; see `runstore.format`."""
    if extension == "parquet":
        return containers.open_parquet(data, ref, verify=verify)
    return containers.open_arrow(data, ref, verify=verify, mapped=mapped)


def rebuilt(
    opened: "Stored | StoredParquet",
    place: Place,
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
        CorruptObjectError: It belongs to another place, or cannot be rebuilt.
        RunStoreError: Whatever its codec says.
    """
    if opened.header is not None:
        check_place(opened.header, place)
    try:
        return _decoded(opened, policy, signed, columns, as_type)
    except RunStoreError:
        raise
    except _NOT_WHAT_IT_SAYS as exc:
        raise _not_rebuilt(place, exc) from exc


def rebuilt_file(
    data: Buffer,
    place: Place,
    extension: str,
    policy: PicklePolicy,
    columns: list[Any] | None,
    as_type: type | None,
) -> Any:
    """Rebuild the value of a file without a header of ours; arguments and errors as `rebuilt`."""
    ref = str(place)
    codec = file_codec(extension, ref)
    try:
        value = codec.decode(data, ref, Pickling(policy, ref))
    except RunStoreError:
        raise
    except _NOT_WHAT_IT_SAYS as exc:
        raise _not_rebuilt(place, exc) from exc
    value = value if columns is None else codecs.selected(value, columns, ref)
    return value if as_type is None else codecs.converted(value, as_type, ref)


def _decoded(
    opened: "Stored | StoredParquet",
    policy: PicklePolicy,
    signed: bool,
    columns: list[Any] | None,
    as_type: type | None,
) -> Any:
    header, ref = opened.header, opened.ref
    if header is None:  # another program's file
        name, version, spec, versions = "arrow", 1, {"kind": "table"}, {}
    else:
        name, version, spec = header.codec, header.codec_version, header.spec
        versions = header.versions
    if as_type is not None and columns is None:
        stored = codecs.stored_as(name, version, opened, spec, as_type)
        if stored is not None:
            return stored
    codec = codecs.codec_named(name)
    if version > codec.version:
        raise UnsupportedFormatError(
            f"{ref} was written by version {version} of the codec {codec.name!r}, this runstore "
            f"reads up to {codec.version}: upgrade runstore",
            ref,
        )
    pickling = Pickling(policy, ref, signed=signed, versions=versions)
    return codecs.decode(codec, opened, spec, pickling, columns, as_type)


# What codecs, and the functions that a pickle calls, stumble over in what they did not write.
_NOT_WHAT_IT_SAYS = (LookupError, ValueError, TypeError, AttributeError, RecursionError)


def _not_rebuilt(place: Place, exc: Exception) -> CorruptObjectError:
    return CorruptObjectError(
        f"{place} cannot be rebuilt from what is stored ({type(exc).__name__}: {exc})", str(place)
    )


def check_place(header: Header, place: Place) -> None:
    """Raise CorruptObjectError unless the object was stored for this place."""
    if header.place != place:
        raise CorruptObjectError(
            f"at {place} stands an object that was stored as {header.place}: files were swapped, "
            "moved or renamed outside runstore. Put it back, or use copy()",
            str(place),
        )
