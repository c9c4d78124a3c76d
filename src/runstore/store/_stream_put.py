"""The description of a table that was written piece by piece."""

from functools import partial

from runstore.keys import AnyPlace, extension_at
from runstore.places import Entry
from runstore.store._info import ObjectInfo, describe
from runstore.store._kinds import container_of
from runstore.store._objects import Objects
from runstore.store._stream_file import StreamFile

__all__ = ["described"]


def described(
    objects: Objects, place: AnyPlace, entry: Entry, stream: StreamFile, digest: str | None
) -> ObjectInfo:
    """Return the description of a table that has just been written piece by piece."""
    schema = partial(objects.read_schema, entry.key, place)
    container = container_of(extension_at(place))
    return describe(place, entry, container, stream.header, digest, stream.signed, schema)
