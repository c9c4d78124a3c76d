"""The keys of a bucket, or of a prefix of one: its client, the names of objects, and listings."""

import builtins
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

from runstore.errors import InvalidNameError, StoreClosedError
from runstore.keys import PARTS
from runstore.places._base import Entry, is_hidden, is_hidden_but_parts
from runstore.places._cloud._conditions import Probe
from runstore.places._cloud._errors import Translated
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._upload import Uploader
from runstore.places._cloud._wire import CloudClient, Failure, Item

__all__ = ["BATCH", "CloudTree", "Opened"]

BATCH = 1000
"""Keys of one request."""


class Surroundings(Protocol):
    """What a client may take from outside of its options."""

    def is_current(self) -> bool:
        """Return whether nothing has changed since."""
        ...


class Opened(NamedTuple):
    """What a backend works with, until its process forks or its environment changes."""

    pid: int
    environment: Surroundings
    client: CloudClient
    uploader: Uploader
    probe: Probe
    sorted_by_key: bool


class CloudTree(ABC):
    """The objects under a prefix of a bucket: how they are reached, and what is listed.

    Nothing is opened before the first use, and a forked process opens its own.

    Args:
        url: The bucket and the prefix.
        prefix: The prefix of every key; it ends with a slash or is empty.
        timeout: Seconds without an answer, retries included.
    """

    longest_name: ClassVar[int] = 1024
    """Bytes of a whole key."""

    def __init__(self, url: str, prefix: str, timeout: float) -> None:
        self.url = url.rstrip("/")
        self._prefix = prefix
        self._timeout = timeout
        self._mine: Opened | None = None
        self._closed = False

    @abstractmethod
    def _opened_now(self) -> Opened:
        """Open a client and what is used with it.

        Raises:
            SettingsError: An option or the environment is not understood.
        """

    def _forget(self, client: CloudClient) -> None:  # noqa: B027 - most share none
        """Stop sharing *client*, which found no credentials."""

    def _complete(self, failure: Failure) -> None:  # noqa: B027 - most know all at once
        """Complete *failure*, as by the region of the bucket."""

    @property
    def sorted_by_key(self) -> bool:
        """Whether listings are sorted by the key, and not by its parts as some servers do it."""
        return self._open().sorted_by_key

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`; a thousand objects a request, none kept."""
        with self._translated(self._ref(prefix), "list"):
            for item in self._items(self._prefix + prefix):
                key = item.name[len(self._prefix) :]
                if not is_hidden(key, prefix) and not key.endswith("/"):
                    yield Entry(key, item.size, item.modified, item.version)

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places._base.list_with_parts`."""
        with self._translated(self._ref(prefix), "list"):
            for item in self._items(self._prefix + prefix, parts=True):
                key = item.name[len(self._prefix) :]
                if not is_hidden_but_parts(key, prefix) and not key.endswith("/"):
                    yield Entry(key, item.size, item.modified, item.version)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        under = self._prefix + prefix
        with self._translated(self._ref(prefix), "list"):
            client, deadline = self._open().client, Deadline(self._timeout)
            found = persist(lambda t: client.folders(under, t), deadline)
        return sorted(name for name in found if not name.startswith("."))

    def _items(self, prefix: str, *, parts: bool = False) -> Iterator[Item]:
        """List everything under *prefix*; after a failure go on behind the last item.

        Pages of nothing but parts are passed over unless *parts* are wanted.
        """
        client, after = self._open().client, None
        deadline = Deadline(self._timeout)
        pages = client.pages(prefix, after, deadline.request)
        while True:

            def step(timeout: float) -> builtins.list[Item] | None:
                nonlocal pages
                try:
                    return next(pages, None)
                except Failure:
                    pages = client.pages(prefix, after, timeout)  # noqa: B023 - used at once
                    raise

            page = persist(step, Deadline(self._timeout))
            if page is None:
                return
            yield from page
            if page:
                after = page[-1].name
                if (
                    len(page) >= BATCH
                    and not parts
                    and (behind := _behind_parts(after, prefix)) is not None
                ):
                    after = behind
                    pages = client.pages(prefix, after, deadline.request)

    def _translated(self, ref: str, doing: str) -> Translated:
        return Translated(ref, doing, self._note)

    def _note(self, failure: Failure) -> None:
        """Take note of a failure before it is told."""
        self._complete(failure)
        mine = self._mine
        if failure.code == "NoCredentials" and mine is not None:
            self._mine = None  # the next call looks for them again
            self._forget(mine.client)

    def _open(self) -> Opened:
        mine = self._mine
        if mine is None or mine.pid != os.getpid() or not mine.environment.is_current():
            if self._closed:
                raise StoreClosedError(f"{self.url} was closed: open another store", self.url)
            # No lock, which a request could hold: two threads may both come here.
            mine = self._mine = self._opened_now()
        return mine

    def _name(self, key: str) -> str:
        name = self._prefix + key
        if len(name) > self.longest_name:
            raise InvalidNameError(
                f"{self._ref(key)[:80]}… is longer than the {self.longest_name:,} bytes allowed "
                "for prefix, namespace, run and name together",
                key,
            )
        return name

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"


def _behind_parts(name: str, prefix: str) -> str | None:
    """Return a name behind all parts of a scope, to go on from; None if *name* is no part.

    A listing above the folder of parts shows none of them, so their pages need not be read.
    """
    found = f"/{name[len(prefix) :]}".find(f"/{PARTS}/")
    return None if found < 0 else f"{name[: len(prefix) + found]}{PARTS}/~"
