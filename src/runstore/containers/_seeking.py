"""The position of an Arrow reader in a file of which only ranges are fetched."""

import io

__all__ = ["Seeking"]


class Seeking(io.RawIOBase):
    """What Arrow's readers ask of a file besides ``read``.

    Args:
        size: Of the whole file, in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def _span(self, size: int | None) -> tuple[int, int]:
        """Return where a read of *size* bytes begins and ends, and stand at its end."""
        start = self._at
        end = self._size if size is None or size < 0 else min(self._size, start + size)
        self._at = max(start, end)
        return start, end
