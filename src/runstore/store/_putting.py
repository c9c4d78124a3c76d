"""Which way a put goes: as one file, as a part, by its changes, or partition by partition."""

from collections.abc import Callable
from functools import partial
from typing import Any

from runstore.context import PicklePolicy
from runstore.errors import InvalidRequestError, ObjectNotFoundError, PreconditionFailedError
from runstore.keys import AnyPlace, Place
from runstore.objects import ObjectInfo
from runstore.store._objects import Objects
from runstore.store._partitions import put_partitions, splitter_of
from runstore.store._sealing import new_part
from runstore.store._target import Target

__all__ = ["put_at"]


def put_at(
    target: Target,
    place: Place,
    value: Any,
    *,
    part: object,
    delta: bool,
    metadata: dict[str, Any] | None,
    if_absent: bool,
    if_match: str | None,
    compression: str | None,
    pickle: PicklePolicy | None,
) -> ObjectInfo:
    """Store *value* at *place*; arguments and errors as for `Verbs.put`."""
    split = splitter_of(value) if part is None else None
    if delta and (part is not None or split is not None):
        raise InvalidRequestError(
            f"put {place}: delta= is for one file over an earlier one, and parts are never "
            "replaced: omit it",
            str(place),
        )
    if split is not None:
        return put_partitions(
            target,
            place,
            value,
            split,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            compression=compression,
            pickle=pickle,
        )
    at: AnyPlace = place
    if part is not None:
        at = new_part(place, part, if_absent=if_absent, if_match=if_match)
    objects = target.writable()
    put: Callable[..., ObjectInfo] = objects.put
    if delta:
        put = partial(_put_by_changes, objects)
    return put(
        at,
        value,
        metadata=metadata,
        if_absent=if_absent,
        if_match=if_match,
        compression=compression,
        pickle=pickle,
        workflow=target.workflow,
        stage=target.stage,
    )


def _put_by_changes(
    objects: Objects, place: AnyPlace, value: Any, *, if_match: str | None, **how: Any
) -> ObjectInfo:
    """Put *value* as `Objects.put` does, sending what differs from the version that is there.

    Args:
        objects: Where.
        place: The object.
        value: The new value.
        if_match, how: As for `Objects.put`.

    Raises:
        RunStoreError: What `Objects.put` raises.
    """
    from runstore.objects import DeltaBackend  # few puts are by changes

    changes = objects.with_backend(DeltaBackend(objects.backend))
    try:
        return changes.put(place, value, if_match=if_match, **how)
    except (PreconditionFailedError, ObjectNotFoundError):
        if if_match is not None:
            raise
        return objects.put(place, value, **how)  # it was replaced or removed meanwhile
