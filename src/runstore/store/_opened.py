"""An object that is read whole, and checked."""

from typing import TYPE_CHECKING

from runstore import containers
from runstore.buffers import Buffer
from runstore.codecs import SealedPart
from runstore.containers import Stored, Verify
from runstore.context import PicklePolicy
from runstore.keys import AnyPlace, extension_at, key_of
from runstore.places import Entry
from runstore.store._decoding import guard_of, open_object
from runstore.store._kinds import container_in
from runstore.store._sealed import check_sealed_part
from runstore.store._signing import signing_keys

if TYPE_CHECKING:
    from runstore.containers import StoredParquet
    from runstore.store._objects import Objects

__all__ = ["open_whole"]


def open_whole(
    objects: "Objects",
    place: AnyPlace,
    policy: PicklePolicy,
    verify: Verify,
    sealed: SealedPart | None = None,
    read: tuple[Buffer, Entry] | None = None,
) -> "tuple[Stored | StoredParquet | None, Buffer, Entry]":
    """Read all of an object, and check it.

    Args:
        objects, place, policy, verify, sealed: As for `Objects.get`.
        read: What the place gave, if it has been asked already.

    Returns:
        What is in the file, None for a plain one; its bytes; what the place says of it.
    """
    ref, extension = str(place), extension_at(place)
    data, entry = objects.backend.get(key_of(place)) if read is None else read
    mapped = objects.backend.guarantees.mapped
    container = container_in(extension, data, ref)
    if container is None:
        containers.check_file(extension, data, ref, verify=verify, mapped=mapped)
        return None, data, entry
    signed = policy == "signed"
    if signed:
        data, _ = objects._authentic(data, ref, container, signing_keys(ref, "load"), "load")
        verify, mapped = True, False
    guard = guard_of(policy, signed)
    opened = open_object(data, ref, container, guard, verify, mapped=mapped)
    if sealed is not None:
        check_sealed_part(data, place, sealed)
    return opened, data, entry
