"""When an object was written, by the clock of its place."""

from datetime import datetime

from runstore.places._base import Backend, Entry

__all__ = ["changed_at"]


def changed_at(backend: Backend, entry: Entry) -> datetime:
    """Return when an object was last written, by the clock of the place alone.

    Places whose objects have the time that their writer sets have a method of this name, which
    looks for the other one. ``entry.modified`` is it elsewhere.

    Args:
        backend: The place.
        entry: What it says of the object.
    """
    look = getattr(backend, "changed_at", None)
    found: datetime = entry.modified if look is None else look(entry)
    return found
