"""Some columns of a large object far away, read without the rest."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from runstore import containers
from runstore.buffers import Buffer
from runstore.containers import Verify
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    UnsupportedFormatError,
)
from runstore.keys import AnyPlace, key_of
from runstore.objects import check_sealed_part, guard_of, read_ranges
from runstore.places import Backend, Entry
from runstore.seals import SEALED, SealedPart
from runstore.store._decoding import rebuilt

if TYPE_CHECKING:
    from runstore.store._objects import Objects

__all__ = ["WholeNeeded", "read_columns", "reads_columns"]

_WORTH_PARTS = 1 << 20  # bytes of an object; a smaller one is read whole, in one request
_FEW_REQUESTS = 4  # that reading a part of an object may take
_A_REQUEST = 16 << 20  # bytes; where the whole takes more requests, a part may take twice as many


class WholeNeeded(Exception):  # noqa: N818 - not an error, a way on
    """All of an object has to be read."""


def reads_columns(backend: Backend) -> bool:
    """Return whether it is worth it, and possible, to read part of one version of an object."""
    facts = backend.guarantees
    return not facts.mapped and facts.ranges and facts.versions in ("write", "content")


def read_columns(
    objects: "Objects",
    place: AnyPlace,
    verify: Verify,
    columns: list[Any],
    as_type: type | None,
    policy: PicklePolicy,
    sealed: SealedPart | None,
    build: Callable[[Any], Any] | None = None,
) -> tuple[Any, Entry, Buffer]:
    """Return these columns, what the place says of the object, and its end.

    Args:
        objects: The store's.
        place, verify, columns, as_type, policy, sealed: As for `Objects.get`.
        build: Makes the value of the opened object, if not all rows are wanted.

    Raises:
        WholeNeeded: All of it has to be read.
    """
    key, ref = key_of(place), str(place)
    if verify is True or policy == "signed":
        raise WholeNeeded
    tail, start, entry = objects.read_tail(key, ref)
    version = entry.version
    if start is None or version is None or entry.size <= _WORTH_PARTS:
        raise WholeNeeded

    if entry.size > _A_REQUEST and containers.PIECES in tail[start:].tobytes():
        from runstore.store._filtered import of_pieces

        if build is not None:
            raise WholeNeeded
        return of_pieces(objects, place, policy, columns, as_type, sealed)

    failed: list[RunStoreError] = []  # Arrow reports what a read raises as its own error

    def read(ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        try:
            return read_ranges(objects.backend, key, ranges, version)
        except RunStoreError as exc:
            failed.append(exc)
            raise

    most = max(_FEW_REQUESTS, 2 * (1 + entry.size // _A_REQUEST)) - 1
    try:
        opened = containers.open_part(
            read, entry.size, tail, start, ref, guard_of(policy), most=most
        )
        if opened is None or (opened.header is not None and opened.header.codec == SEALED):
            raise WholeNeeded
        if sealed is not None:
            check_sealed_part(tail, place, sealed, entry.size)
        if build is not None:
            return build(opened), entry, tail
        return rebuilt(opened, place, policy, False, columns, as_type), entry, tail
    except UnsupportedFormatError as exc:
        raise WholeNeeded from exc  # only its digest tells whether that is damage
    except RunStoreError as exc:
        if not failed:
            if isinstance(exc, CorruptObjectError):
                raise WholeNeeded from exc  # likewise
            raise
        if isinstance(failed[0], (PreconditionFailedError, ObjectNotFoundError)):
            raise WholeNeeded from exc  # it was replaced or deleted meanwhile
        raise failed[0] from exc
