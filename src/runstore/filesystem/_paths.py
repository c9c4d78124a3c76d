"""What a path of the filesystem names: ``<namespace>/<run>/<name>``, or a folder of such."""

from typing import NamedTuple

from runstore.arguments import check_text
from runstore.errors import InvalidNameError
from runstore.keys import SHARED, Place, key_of
from runstore.names import check_namespace, check_run

__all__ = ["PROTOCOL", "Location", "located", "path_of", "place_at", "stripped"]

PROTOCOL = "runstore"


class Location(NamedTuple):
    """What a path names; an object and the folder of others may have the same path.

    Attributes:
        namespace: None for the root.
        scope: A run, or ``_shared``; None for a namespace as a whole.
        name: Within the scope; empty for all of the scope.
    """

    namespace: str | None
    scope: str | None
    name: str

    @property
    def run(self) -> str | None:
        """The run; None for the namespace scope."""
        return None if self.scope == SHARED else self.scope

    @property
    def place(self) -> Place | None:
        """The object of this path, if it can be one's."""
        if self.namespace is None or not self.name:
            return None
        return Place(self.namespace, self.run, self.name)


def stripped(path: str) -> str:
    """Return *path* without protocol and outer slashes."""
    return path.removeprefix(f"{PROTOCOL}://").strip("/")


def located(path: str) -> Location:
    """Return what *path* names.

    Raises:
        InvalidNameError: Its namespace, run or name cannot be one.
        InvalidRequestError: It is several paths.
    """
    check_text("RunstoreFileSystem", "path", path)
    if not path:
        return Location(None, None, "")
    namespace, _, rest = path.partition("/")
    scope, _, name = rest.partition("/")
    check_namespace(namespace)
    if scope and scope != SHARED:
        check_run(scope)
    found = Location(namespace, scope or None, name)
    if found.place is not None:
        key_of(found.place)
    return found


def place_at(path: str) -> Place:
    """Return the object that *path* names.

    Raises:
        InvalidNameError: It is too short, or a part of it cannot be one.
    """
    place = located(path).place
    if place is None:
        raise InvalidNameError(
            f"{path!r} names no object: a path is <namespace>/<run>/<name>, or "
            f"<namespace>/{SHARED}/<name> for what the runs of a namespace share",
            path,
        )
    return place


def path_of(place: Place) -> str:
    """Return the path of an object."""
    return str(place)
