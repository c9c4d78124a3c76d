"""What the filesystem says is there."""

import builtins
from datetime import UTC, datetime
from typing import Any

from runstore.arguments import unfit
from runstore.filesystem._errors import not_found
from runstore.filesystem._listing import (
    Info,
    children,
    folder_info,
    has_folder,
    objects_below,
    stat,
)
from runstore.filesystem._of_store import OfStore
from runstore.filesystem._paths import located

__all__ = ["Folders"]


class Folders(OfStore):
    """Objects as files, and as folders what their paths have in common."""

    def info(self, path: str, **kwargs: Any) -> Info:
        """Describe an object or a folder; an object, where both have the path.

        Raises:
            FileNotFoundError: There is neither.
            InvalidNameError: *path* cannot name anything.
            StorageError: The place failed.
        """
        path = self._strip_protocol(path)
        where = located(path)
        found = None if where.place is None else stat(self._store, where.place)
        if found is None and has_folder(self._store, where):
            found = folder_info(path)
        if found is None:
            raise not_found(path)
        return found

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Return whether an object or a folder is there. An outage raises."""
        return self._kind(path) is not None

    def isfile(self, path: str) -> bool:
        """Return whether an object is there. An outage raises."""
        place = located(self._strip_protocol(path)).place
        return place is not None and stat(self._store, place) is not None

    def isdir(self, path: str) -> bool:
        """Return whether a folder is there, and no object of that name. An outage raises."""
        return self._kind(path) == "directory"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> builtins.list[Any]:
        """List what lies directly below a folder, sorted; of an object, itself.

        It takes one listing of all that lies below.

        Raises:
            FileNotFoundError: There is neither.
            StorageError: The place failed.
        """
        path = self._strip_protocol(path)
        found = children(self._store, path)
        if not found and path:
            found = [self.info(path)]
            if found[0]["type"] == "directory":
                found = []
        return found if detail else [info["name"] for info in found]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """List the objects at and below a path, sorted, by one listing.

        Args:
            path: Where to begin.
            maxdepth: How many levels to go down.
            withdirs: Folders, too.
            detail: Return a dict of name to `info`.
            kwargs: Ignored.

        Raises:
            InvalidRequestError: *maxdepth* is no number of levels.
            StorageError: The place failed.
        """
        if maxdepth is not None and (not isinstance(maxdepth, int) or maxdepth < 1):
            raise unfit("find", "maxdepth", "None or an int from 1 on", maxdepth)
        path = self._strip_protocol(path)
        where, found = located(path), dict[str, Info]()
        depth = path.count("/") + 1 if path else 0
        for info in objects_below(self._store, where):
            parts = info["name"].split("/")
            if withdirs:
                last = len(parts) if maxdepth is None else min(len(parts), depth + maxdepth + 1)
                for end in range(max(depth, 1), last):
                    folder = "/".join(parts[:end])
                    found.setdefault(folder, folder_info(folder))
            if maxdepth is None or len(parts) <= depth + maxdepth:
                found[info["name"]] = info
        if where.place is not None and (itself := stat(self._store, where.place)) is not None:
            found[path] = itself
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def du(self, path: str, total: bool = True, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Return how many bytes are stored at and below a path; by object if not *total*."""
        found = self.find(path, maxdepth=maxdepth, detail=True)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    def modified(self, path: str) -> datetime:
        """Return when an object was written, UTC."""
        info = self.info(path)
        if info["type"] != "file":
            raise IsADirectoryError(f"{path} is a folder, which has no time")
        return datetime.fromtimestamp(info["mtime"], UTC)

    created = modified
