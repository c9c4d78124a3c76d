"""What a place must be able to do, and what the store may expect of it."""

import builtins
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from runstore.buffers import Buffer, flat
from runstore.errors import AccessDeniedError, ObjectNotFoundError, RunStoreError
from runstore.keys import PARTS
from runstore.places._guarantees import Guarantees

__all__ = [
    "Backend",
    "Entry",
    "Tail",
    "copy_through",
    "delete_each",
    "glimpse",
    "is_hidden",
    "is_hidden_but_parts",
    "list_allowed",
    "list_with_parts",
    "prune",
]


class Entry(NamedTuple):
    """One object as the place knows it.

    Attributes:
        key: Relative to the backend's root, parts separated by ``/``.
        size: Stored bytes.
        modified: When it was written, UTC.
        version: Changes with every write; what ``if_match`` compares. None where
            the place has none.
    """

    key: str
    size: int
    modified: datetime
    version: str | None


class Tail(NamedTuple):
    """The end of a copy that differs from its source, as the footer does that names the object.

    Attributes:
        version: Of the source.
        keep: How many bytes of the source come first.
        buffers: What follows them.
    """

    version: str
    keep: int
    buffers: Sequence[Buffer]


class Backend(Protocol):
    """A place where bytes are kept under keys.

    Keys come from `runstore.keys` and need no further checks. Every method raises
    `runstore.errors.StorageError` or one of its kinds when the place fails, and
    never reports an outage as a miss. `runstore.testing.PlaceTests` is this
    contract as tests, each as far as the place's `guarantees` go.
    """

    @property
    def url(self) -> str:
        """Where it is, absolute."""
        ...

    @property
    def guarantees(self) -> Guarantees:
        """What it promises, as far as that is known without asking it."""
        ...

    def probe(self) -> Guarantees:
        """Return what it promises; what is not known yet is asked once, with small hidden objects.

        Raises:
            StorageError: It could not be asked.
        """
        ...

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """Write *buffers*, one after the other, as one object. All or nothing.

        A reader sees the old object or the new one, never a part; once this
        returns, every reader sees the new one. Iterating *buffers* may raise:
        then nothing is written, the old object is untouched, and the error comes
        out as it is. Nobody changes a buffer once it has been given out.

        Raises:
            ObjectExistsError: *if_absent* and there is one.
            PreconditionFailedError: *if_match* is not the version that is there,
                or nothing is there.
            IndeterminateWriteError: Nobody can say whether it was written, or the
                place does not confirm that it is kept.
            StorageError: The old object is intact. Also if *if_absent* or *if_match*
                could race here.
        """
        ...

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """Return one complete object as a private, writable buffer.

        Args:
            key: The object.
            if_match: Only this version.
            if_none_match: Only another version than this; finding out costs one small request.

        Raises:
            ObjectNotFoundError: There is none.
            NotModifiedError: It is the version *if_none_match*.
            PreconditionFailedError: It is not the version *if_match*.
        """
        ...

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """Return the last *length* bytes of an object, or all of a shorter one.

        Raises:
            ObjectNotFoundError: There is none.
        """
        ...

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """Return *length* bytes from *start* on, of this version of an object and no other.

        Raises:
            ObjectNotFoundError: There is none.
            PreconditionFailedError: It is another version by now.
            StorageError: It has no such bytes.
        """
        ...

    def head(self, key: str) -> Entry:
        """Describe an object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """Return the objects whose key begins with *prefix*, in the place's own order.

        That is sorted by key in memory, on disk and on AWS, and by the parts of
        the key on some other S3 servers. *prefix* may be any beginning of keys, also one that
        ends within a part: ``a/b`` has ``a/b.arrow`` and ``a/bc/d.arrow``. What does not begin
        so costs as little as the place allows.
        Temporary files are not shown, nor what is in a hidden folder unless *prefix*
        leads into it, nor, with an `UnreadableWarning`, what is no file or has a name
        that is not UTF-8. What is put or deleted
        meanwhile may or may not be seen.
        """
        ...

    def folders(self, prefix: str) -> builtins.list[str]:
        """Return the names of the folders directly under *prefix* that hold anything, sorted.

        Parts of objects count, though their folder is hidden.
        """
        ...

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: "Tail | None" = None
    ) -> Entry:
        """Write one version of an object under another key, byte for byte. All or nothing.

        A place that moves no bytes of the source even where the copy ends differently says so
        by an attribute ``copies_with_tail = True``.

        Args:
            source: The key of the object.
            target: The other key.
            if_absent: Fail instead of replacing.
            tail: What the copy ends in instead.

        Raises:
            ObjectNotFoundError: Nothing is at *source*.
            PreconditionFailedError: It is not the version that *tail* is for.
            ObjectExistsError: *if_absent* and something is at *target*.
            IndeterminateWriteError, StorageError: As for `put`.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        ...

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """Remove objects, several at a time where the place can.

        Returns:
            The error of each key that was not removed; without *missing_ok*
            ObjectNotFoundError for each where nothing is.
        """
        ...

    def sweep(self, older_than: float) -> int:
        """Remove what interrupted writes left behind, and nothing of a living writer.

        A place that cannot tell the two apart gives an `UnreadableWarning` and
        removes nothing, or goes by age, as S3 does.

        Args:
            older_than: Seconds; younger leftovers stay.

        Returns:
            How many were removed.
        """
        ...

    def close(self) -> None:
        """Release connections, threads and credentials that nobody else uses.

        It can be called again. Afterwards the backend is not used any more. Buffers that
        were read stay valid.
        """
        ...


def is_hidden(key: str, prefix: str) -> bool:
    """Return whether *key* is hidden, or in a hidden folder, to who looks below *prefix*."""
    below = key[prefix.rfind("/") + 1 :]
    return below.startswith(".") or "/." in below


def is_hidden_but_parts(key: str, prefix: str) -> bool:
    """Return whether *key* is hidden, and no part of an object either."""
    return is_hidden(key.replace(f"/{PARTS}/", "/", 1), prefix)


def delete_each(
    backend: Backend, keys: Iterable[str], missing_ok: bool
) -> dict[str, RunStoreError]:
    """Do what `Backend.delete_many` promises, one after the other."""
    errors: dict[str, RunStoreError] = {}
    for key in keys:
        try:
            backend.delete(key)
        except ObjectNotFoundError as exc:
            if not missing_ok:
                errors[key] = exc
        except RunStoreError as exc:
            errors[key] = exc
    return errors


def copy_through(
    backend: Backend, source: str, target: str, if_absent: bool, tail: Tail | None = None
) -> Entry:
    """Do what `Backend.copy` promises, through this process."""
    if tail is None:
        data, _ = backend.get(source)
        return backend.put(target, [data], if_absent=if_absent)
    data, _ = backend.get(source, if_match=tail.version)
    return backend.put(target, [flat(data)[: tail.keep], *tail.buffers], if_absent=if_absent)


def glimpse(backend: Backend, prefix: str, most: int) -> builtins.list[str]:
    """Return the keys of some objects below a folder, at a cost that does not grow with it.

    For messages to people: which objects they are is not said, and nothing is raised for what
    cannot be read. Places in which a look is cheap have a method of this name.

    Args:
        backend: The place.
        prefix: The folder, with a slash.
        most: How many keys at most, and how many folders are looked into.
    """
    look = getattr(backend, "glimpse", None)
    if look is not None:
        found: builtins.list[str] = look(prefix, most)
        return found
    return [entry.key for entry in itertools.islice(backend.list(prefix), most)]


def list_with_parts(backend: Backend, prefix: str) -> Iterator[Entry]:
    """Yield what `Backend.list` does and the parts of objects, in no order.

    Places that meet parts on the way have a method of this name; others are asked once more for
    each scope.

    Args:
        backend: The place.
        prefix: The folder of a namespace or of a scope, with a slash; empty for the store.

    Raises:
        StorageError: The place failed.
    """
    look = getattr(backend, "list_with_parts", None)
    if look is not None:
        yield from look(prefix)
    else:
        yield from by_lists(backend, prefix)


def by_lists(backend: Backend, prefix: str) -> Iterator[Entry]:
    """Do what `list_with_parts` does by `Backend.list` and `Backend.folders` alone."""
    yield from backend.list(prefix)
    scopes = [prefix]
    for _ in range(2 - prefix.count("/")):
        scopes = [f"{above}{folder}" for above in scopes for folder in backend.folders(above)]
    for scope in scopes:
        yield from backend.list(f"{scope}{PARTS}/")


Denied = Callable[[str, AccessDeniedError], None]
"""Is told the folder, with a slash, that may not be listed, and the error."""


def list_allowed(
    backend: Backend, prefix: str, denied: Denied, *, parts: bool = False
) -> Iterator[Entry]:
    """Yield what `Backend.list` does, and continue past a folder that may not be listed.

    Places that meet such folders on the way have a method of this name; others are asked again for
    each folder beside it, and what lies in none of these may be missed: that is told, too.

    Args:
        backend: The place.
        prefix: Of the keys.
        denied: Is told of each such folder.
        parts: Whether to list as `list_with_parts` does; *prefix* is a folder then.

    Raises:
        StorageError: The place failed.
    """
    look = getattr(backend, "list_allowed", None)
    if look is not None:
        yield from look(prefix, denied, parts=parts)
    else:
        yield from allowed_by_lists(backend, prefix, denied, parts=parts)


def allowed_by_lists(
    backend: Backend, prefix: str, denied: Denied, *, parts: bool = False
) -> Iterator[Entry]:
    """Do what `list_allowed` does by `list_with_parts`, `Backend.list` and `Backend.folders`."""
    seen = set[str]()
    try:
        for entry in list_with_parts(backend, prefix) if parts else backend.list(prefix):
            seen.add(entry.key)
            yield entry
    except AccessDeniedError as exc:
        error = exc
    else:
        return
    folder = prefix[: prefix.rfind("/") + 1]
    try:
        below = [f"{folder}{name}" for name in backend.folders(folder)]
    except AccessDeniedError:
        below = []
    depth = folder.count("/")
    if parts and depth == _SCOPE and below:
        below.append(f"{folder}{PARTS}/")
    for one in below:
        if one.startswith(prefix):
            for entry in allowed_by_lists(backend, one, denied, parts=parts):
                if entry.key not in seen:
                    yield entry
    if not below or depth >= _SCOPE:  # objects may lie directly in it
        denied(folder, error)


_SCOPE = 2  # slashes in the folder of a scope


def prune(backend: Backend, prefix: str) -> None:
    """Remove the empty folders at and below *prefix*, and above it, where folders are things.

    What cannot be removed stays, without an error. A writer that is about to use such a folder
    makes it again. Places that have folders have a method of this name.
    """
    remove = getattr(backend, "prune", None)
    if remove is not None:
        remove(prefix)
