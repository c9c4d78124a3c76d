"""A file that is read: one version of an object, whatever is written meanwhile."""

from typing import Any

from fsspec.spec import AbstractBufferedFile

from runstore.filesystem._errors import as_file_errors
from runstore.store import Pinned

__all__ = ["ObjectReader"]

_LINES_AT_ONCE = 64 * 1024  # bytes that are looked through for the end of a line


class ObjectReader(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """An object, opened for reading.

    What was mapped or read when it was opened stays readable. Where an object far away is
    replaced meanwhile, reading more of it raises `runstore.errors.PreconditionFailedError`.

    Args:
        fs: The filesystem.
        path: The object.
        info: What `RunstoreFileSystem.info` says of this version.
        version: The version.
        block_size: Bytes to read ahead where it is far away.
        cache_options: fsspec's.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        info: dict[str, Any],
        version: Pinned,
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        cache_type: str = "readahead",
    ) -> None:
        self._version = version
        self._details = info
        here = version.start == 0
        super().__init__(
            fs,
            path,
            "rb",
            block_size,
            cache_type="none" if here else cache_type,
            cache_options=None if here else cache_options,
            size=version.entry.size,
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        with as_file_errors(self.path):
            return self._version.read(start, end)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, with its end; at most *size* bytes of it."""
        start = self.tell()
        line: bytes = self.readuntil(b"\n", blocks=_LINES_AT_ONCE)
        if size is None or size < 0 or size >= len(line):
            return line
        self.seek(start + size)
        return line[:size]

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self._details["version"], self.loc)


def _reopened(fs: Any, path: str, version: str | None, loc: int) -> ObjectReader:
    """Open an object elsewhere where another process had it open, if it is the same version."""
    from runstore.errors import PreconditionFailedError

    file: ObjectReader = fs.open(path, "rb")
    if file._details["version"] != version:
        raise PreconditionFailedError(
            f"{path} was replaced since it was opened: open it again and decide anew", path
        )
    file.seek(loc)
    return file
