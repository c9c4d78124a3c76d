"""A file that is written: an object that appears as a whole when it is closed, or never."""

from collections.abc import Callable
from typing import Any

from runstore.store import FileWriter

__all__ = ["ObjectWriter"]


class ObjectWriter(FileWriter):
    """An object, opened for writing by fsspec; see `FileWriter`.

    Args:
        fs: The filesystem.
        path: The object.
        publish: Stores what was collected.
        mode: ``wb`` or ``xb``.
        autocommit: Whether to publish when it is closed; else `commit` does, as a transaction
            of fsspec calls it.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        publish: Callable[[Any], Any],
        mode: str,
        autocommit: bool,
    ) -> None:
        self.fs = fs
        self.path = path
        self.autocommit = autocommit
        super().__init__(path, publish, mode)

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return str(self.fs.unstrip_protocol(self.path))

    def _ended(self) -> None:
        if self.autocommit:
            self.commit()
