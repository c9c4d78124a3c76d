"""Which records to read for the newest runs, in which order: as few as there can be."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runstore.context import WorkflowRun
from runstore.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from runstore.keys import record_key, scope_of
from runstore.places import Backend, Entry, names_in
from runstore.runs._record_file import parsed_record

if TYPE_CHECKING:
    from runstore.runs._index import Indexed

__all__ = ["candidates", "from_index", "latest_named", "named_start"]

_SLACK = timedelta(minutes=5)  # by which the clocks of a place and of a writer may differ
_TIME = re.compile(r"-(\d{8}T\d{6}\.\d{3})Z-[0-9a-f]{8}\.json")  # of `new_run_name`


def candidates(
    backend: Backend, namespace: str, *, whole: bool = False
) -> "tuple[list[tuple[float, str]], Indexed | None]":
    """Return the records of a namespace, those that may be of the newest runs first.

    A run that was given no name of its own has the time of its start in it; another one started
    before its record was last written.

    Args:
        backend: Where.
        namespace: Whose runs.
        whole: Whether all of them are going to be read.

    Returns:
        The latest time at which each run can have started, in seconds since 1970, with the key of
        its record; and the index, where it spares requests.

    Raises:
        StorageError: The place failed.
    """
    if backend.guarantees.mapped and not whole:
        # A disk gives a few records sooner than an index of all. Most names tell when a run began.
        keys = names_in(backend, record_key(namespace, ""))
        starts = ((_start_at(backend, key), key) for key in keys if key[-1] != "/")
        return sorted(((at, key) for at, key in starts if at is not None), reverse=True), None
    from runstore.runs._index import Indexed, named_records
    from runstore.runs._journal import is_kept, read_journal

    journal = read_journal(backend, namespace) if is_kept(backend) else None
    if journal is not None and (index := Indexed.complete(backend, namespace, journal)) is not None:
        rows = index.looks()
        found = [(look.started, record_key(namespace, name)) for name, look in rows.items()]
        unknown = (record_key(namespace, name) for name in index.unknown)
        found += [(latest_named(key), key) for key in unknown]
        return sorted(found, reverse=True), index
    entries = list(backend.list(record_key(namespace, "")))
    index = Indexed(backend, namespace, named_records(namespace, entries), journal)
    return _latest_first(entries), index


def _latest_first(entries: "Iterator[Entry] | list[Entry]") -> list[tuple[float, str]]:
    # An empty object with a slash is how consoles of S3 stand in for a folder.
    found = [(_latest_start(one), one.key) for one in entries if one.key[-1] != "/"]
    return sorted(found, reverse=True)


def from_index(
    indexed: "Indexed", backend: Backend, namespace: str, keys: list[str]
) -> Iterator[tuple[str, WorkflowRun]]:
    """Yield the runs of those records that the index has, by key."""
    folder = record_key(namespace, "")
    names = [scope_of(key[len(folder) :].removesuffix(".json")) for key in keys]
    for name, text in indexed.records(filter(None, names)):
        key = record_key(namespace, name)
        with suppress(CorruptObjectError):  # the record itself says what is wrong
            yield key, parsed_record(text.encode(), namespace, name, f"{backend.url}/{key}")


def _start_at(backend: Backend, key: str) -> float | None:
    """Return what `_latest_start` does, where a look at a record costs little; None if it is gone.

    A record that cannot be looked at is read, and that says why.
    """
    named = named_start(key)
    if named is not None:
        return named.timestamp() + 0.001
    try:
        return _latest_start(backend.head(key))
    except ObjectNotFoundError:
        return None
    except StorageError:
        return float("inf")


def _latest_start(entry: Entry) -> float:
    """Return a time before which the run of a record began, as far as can be told unread."""
    named = named_start(entry.key)
    return ((entry.modified + _SLACK) if named is None else named).timestamp() + 0.001


def latest_named(key: str) -> float:
    """Return the latest time at which a run can have started, by the key of its record alone."""
    named = named_start(key)
    return float("inf") if named is None else named.timestamp() + 0.001


def named_start(key: str) -> datetime | None:
    """Return when a run began, to the millisecond, if the key of its record says so."""
    named = _TIME.search(key)
    if named is None:
        return None
    try:
        return datetime.fromisoformat(named[1]).replace(tzinfo=UTC)
    except ValueError:  # no such day
        return None
