"""Calls of a filesystem: with a deadline, past its caches, and anew in a forked process."""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fsspec import asyn
from fsspec.spec import AbstractFileSystem

from runstore.places._fsspec._failures import connection_lost, outage_behind
from runstore.workers import awaited

__all__ = ["Calls"]

_SLOWEST = 1 << 20  # bytes a second; a large object may take longer than the timeout


class Calls:
    """The one way to a filesystem.

    Args:
        make: Returns the filesystem; called at the first use, and again after a fork.
        timeout: Seconds for one call, for filesystems that are asynchronous underneath; others
            have timeouts of their own.
        owned: Whether only this store uses the filesystem, so that it is closed with the store.
    """

    def __init__(
        self, make: Callable[[], AbstractFileSystem], timeout: float, *, owned: bool
    ) -> None:
        self._make = make
        self._timeout = timeout
        self._owned = owned
        self._fs: AbstractFileSystem | None = None
        self._pid = 0

    @property
    def fs(self) -> AbstractFileSystem:
        """The filesystem, made now if need be."""
        if self._fs is None or self._pid != os.getpid():
            _forget_parents_loop()
            self._fs, self._pid = self._make(), os.getpid()
        return self._fs

    def __call__(self, name: str, *args: Any, size: int = 0, **kwargs: Any) -> Any:
        """Call a method of the filesystem.

        Args:
            name: The method.
            *args: Its arguments.
            size: Bytes that are moved; they lengthen the deadline.
            **kwargs: Its keyword arguments.

        Raises:
            TimeoutError: It took too long, and was given up.
            Exception: Whatever the filesystem raises.
        """
        fs = self.fs
        coroutine = getattr(fs, f"_{name}", None)
        if not fs.async_impl or not inspect.iscoroutinefunction(coroutine):
            with self._renewed_if_lost():
                return getattr(fs, name)(*args, **kwargs)
        return self.run(coroutine(*args, **kwargs), size=size)

    def remove(self, path: str) -> None:
        """Remove one file.

        Raises:
            Exception: Whatever the filesystem raises.
        """
        try:
            self("rm_file", path)
        except NotImplementedError:  # adlfs before 2025
            self("rm", path)

    def run(self, coroutine: Any, *, size: int = 0) -> Any:
        """Run a coroutine on the filesystem's own loop. An interrupt ends it, too.

        Raises:
            TimeoutError: It took too long, and was given up.
        """
        waiting = asyncio.wait_for(coroutine, self._timeout + size / _SLOWEST)
        future = asyncio.run_coroutine_threadsafe(waiting, self.fs.loop)
        try:
            with self._renewed_if_lost():
                return awaited(future)
        except BaseException:
            future.cancel()
            raise

    @contextmanager
    def _renewed_if_lost(self) -> Iterator[None]:
        """Let the next call connect anew where a connection was lost: sshfs does not by itself."""
        try:
            yield
        except Exception as exc:
            outage = outage_behind(exc)
            if self._owned and connection_lost(outage or exc):
                self._fs = None
            if outage is not None:
                raise outage from exc
            raise

    def forget(self) -> None:
        """Drop the listings that the filesystem has cached."""
        self.fs.invalidate_cache()

    def close(self) -> None:
        """Release the filesystem, and close its connections if only this store uses it."""
        fs, self._fs = self._fs, None
        if fs is None or not self._owned or self._pid != os.getpid():
            return
        http = getattr(getattr(fs, "client", None), "http", None)
        if http is not None and hasattr(http, "close"):  # webdav4 closes nothing by itself
            with suppress(RuntimeError):
                http.close()


def _forget_parents_loop() -> None:
    """Let fsspec start a loop of its own in a forked child, which older releases do not."""
    thread = asyn.iothread[0]
    if thread is not None and not thread.is_alive():
        asyn.iothread[0] = asyn.loop[0] = None
        asyn.reset_lock()
