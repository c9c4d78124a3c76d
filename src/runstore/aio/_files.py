"""The verbs for raw files, to await."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from runstore.aio._calls import reading, writing
from runstore.aio._permit import Permit, Permitted
from runstore.aio._pool import Pool
from runstore.errors import InvalidRequestError
from runstore.keys import Scope
from runstore.store import FileMode, FileWriter, ObjectInfo, Progress, Symlinks, Verbs

__all__ = ["AsyncFile", "AsyncFileVerbs"]

T = TypeVar("T")


class AsyncFile:
    """A file of the store whose methods are awaited; an async context manager.

    One task uses it at a time. If its block fails, or is cancelled, what was written is dropped.

    Args:
        file: What `runstore.ObjectStore.open` gives.
        pool: The threads in which it is used.
        permit: What lets it be published.
    """

    def __init__(self, file: Any, pool: Pool, permit: Permit) -> None:
        self._file = file
        self._pool = pool
        self._permit = permit

    @property
    def info(self) -> ObjectInfo | None:
        """What was stored, once a file that was written is closed."""
        return getattr(self._file, "info", None)

    async def read(self, size: int = -1) -> Any:
        """Return *size* bytes or characters, or all that is left."""
        return await reading(self._pool, lambda: self._file.read(size))

    async def readline(self) -> Any:
        """Return the next line, with its end; nothing at the end of the file."""
        return await reading(self._pool, self._file.readline)

    async def write(self, data: Any) -> int:
        """Collect *data*, and return how much that was."""
        return int(await reading(self._pool, lambda: self._file.write(data)))

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere."""
        return int(await reading(self._pool, lambda: self._file.seek(offset, whence)))

    async def tell(self) -> int:
        """Return where the file is."""
        return int(await reading(self._pool, self._file.tell))

    async def discard(self) -> None:
        """Drop what was written; what was there stays."""
        writer = self._file.buffer if isinstance(self._file, io.TextIOWrapper) else self._file
        if not isinstance(writer, FileWriter):
            raise InvalidRequestError("discard: the file is open to be read, which changes nothing")
        await reading(self._pool, writer.discard)

    async def close(self) -> None:
        """Close it; a file that was written is published now, all or nothing."""
        await writing(self._pool, self._permit, self._file.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave = self._file.__exit__
        await writing(self._pool, self._permit, lambda: leave(kind, error, None))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class AsyncFileVerbs(ABC):
    """The verbs for raw files, to await."""

    @abstractmethod
    def _taken(self) -> tuple[Verbs, Pool]:
        """Return the verbs to call, and the threads to call them in; raise if there are none."""

    @abstractmethod
    async def _read(self, function: Callable[[Verbs], T]) -> T: ...

    @abstractmethod
    async def _write(self, function: Callable[[Verbs], T]) -> T: ...

    async def put_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        if_absent: bool = False,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store a local file as it is; see `runstore.ObjectStore.put_file`.

        *progress* is called in another thread.
        """
        return await self._write(
            lambda verbs: verbs.put_file(
                name, path, scope=scope, if_absent=if_absent, progress=progress
            )
        )

    async def get_file(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Return a local file with the bytes of an object; see `runstore.ObjectStore.get_file`.

        *progress* is called in another thread.
        """
        return await self._read(
            lambda verbs: verbs.get_file(
                name, path, scope=scope, run=run, namespace=namespace, progress=progress
            )
        )

    async def put_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        symlinks: Symlinks = "refuse",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store a local folder; see `runstore.ObjectStore.put_dir`."""
        return await self._write(
            lambda verbs: verbs.put_dir(
                name,
                path,
                scope=scope,
                include=include,
                exclude=exclude,
                symlinks=symlinks,
                metadata=metadata,
                if_absent=if_absent,
                progress=progress,
            )
        )

    async def get_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Write a stored folder to a new local one; see `runstore.ObjectStore.get_dir`."""
        return await self._read(
            lambda verbs: verbs.get_dir(
                name,
                path,
                scope=scope,
                run=run,
                namespace=namespace,
                include=include,
                exclude=exclude,
                progress=progress,
            )
        )

    async def open(
        self,
        name: str,
        mode: FileMode = "rb",
        *,
        encoding: str = "utf-8",
        newline: str | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> AsyncFile:
        """Open an object as a file whose methods are awaited; see `runstore.ObjectStore.open`.

        Use it as ``async with await store.open(name) as file``.
        """
        verbs, pool = self._taken()
        permit = Permit()
        permitted = Permitted(verbs, permit)
        file = await reading(
            pool,
            lambda: permitted.open(
                name,
                mode,
                encoding=encoding,
                newline=newline,
                scope=scope,
                run=run,
                namespace=namespace,
            ),
        )
        return AsyncFile(file, pool, permit)
