"""A file of an artifact."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self

from runstore.compat.flowdapt.compute._places import ArtifactNotFoundError
from runstore.errors import InvalidRequestError, ObjectNotFoundError

if TYPE_CHECKING:
    from runstore.compat.flowdapt.compute.artifacts.interface import Artifact

__all__ = ["ArtifactFile", "no_file"]


class ArtifactFile:
    """A file of an artifact.

    Raises:
        ArtifactNotFoundError: There is no such file.
    """

    def __init__(self, filename: str, artifact: Artifact) -> None:
        self._filename = filename
        self._artifact = artifact
        if not artifact.has_file(filename):
            raise no_file(filename, artifact)

    @classmethod
    def known(cls, filename: str, artifact: Artifact) -> Self:
        """Return a file that is there, without another look."""
        file = cls.__new__(cls)
        file._filename, file._artifact = filename, artifact
        return file

    def __repr__(self) -> str:
        return f"ArtifactFile<{self.path}>"

    @property
    def artifact(self) -> Artifact:
        """The artifact that it belongs to."""
        return self._artifact

    @property
    def name(self) -> str:
        """Its name."""
        return self._filename

    @property
    def path(self) -> str:
        """Where it is, for people."""
        return f"{self._artifact.path}/{self._filename}"

    @contextmanager
    def open(self, mode: str = "r") -> Iterator[IO[Any]]:
        """Open the file for a block: ``r``, ``rb``, ``w``, ``wb``, ``a`` or ``ab``.

        What is written is stored when the block ends well, all or nothing.

        Raises:
            InvalidRequestError: Another mode.
            ArtifactNotFoundError: It was removed.
        """
        kind, binary = mode.replace("b", "").replace("t", ""), "b" in mode
        if kind not in ("r", "w", "a"):
            raise InvalidRequestError(f"mode={mode!r}: there are r, rb, w, wb, a and ab")
        buffer = io.BytesIO(b"" if kind == "w" else self._bytes())
        if kind == "a":
            buffer.seek(0, io.SEEK_END)
        file = buffer if binary else io.TextIOWrapper(buffer, "utf-8", newline="")
        yield file
        if kind != "r":
            file.flush()
            self._artifact._put_file(self._filename, buffer.getvalue())

    def read(self, size: int = -1, mode: str = "rb") -> Any:
        """Return its bytes, with ``mode="r"`` its text."""
        with self.open(mode) as file:
            return file.read(size)

    def write(self, data: str | bytes) -> None:
        """Replace what is in it."""
        self._artifact._put_file(self._filename, data.encode() if isinstance(data, str) else data)

    def remove(self) -> None:
        """Remove it from its artifact."""
        self._artifact.delete_file(self._filename)

    def _bytes(self) -> bytes:
        try:
            found = self._artifact._view.get(
                self._artifact._name_of(self._filename), scope="namespace"
            )
        except ObjectNotFoundError:
            raise no_file(self._filename, self._artifact) from None
        assert isinstance(found, bytes)
        return found


def no_file(filename: str, artifact: Artifact) -> ArtifactNotFoundError:
    """Return the error for a file that is not there."""
    return ArtifactNotFoundError(
        f"artifact {artifact.name!r} has no file {filename!r}", f"{artifact.path}/{filename}"
    )
