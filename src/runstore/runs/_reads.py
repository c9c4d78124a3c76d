"""Which runs a run reads, as files whose names say it all; clean-up keeps these while it goes on.

    <namespace>/_reads/<run>/<namespace of the other>/<the other run>.json

The record of a run tells of its stages when they have ended, and of so many objects. Such a file is
written when the run begins to read another one, where that happens. Those of a run go with it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from runstore.keys import reads_key, scope_of
from runstore.places import Backend, prune

__all__ = ["delete_reads", "note_reads", "reading_runs", "reads_of", "referred_in", "referred_runs"]

Run = tuple[str, str]
"""Namespace and name."""

# A reference, as far as the run; names of runs have no slash.
_REF = re.compile(r"runstore://([^/]+)/([^/]+)/")


def note_reads(backend: Backend, reader: Run, other: Run) -> None:
    """Note that a run reads another one.

    Raises:
        StorageError: The place failed.
    """
    backend.put(reads_key(*reader, *other), [b"{}\n"])


def reads_of(backend: Backend, namespace: str) -> dict[str, frozenset[Run]]:
    """Return what the runs of a namespace read, by the name of the reader; some pages.

    Raises:
        StorageError: The place failed.
    """
    folder, found = reads_key(namespace), dict[str, set[Run]]()
    for entry in backend.list(folder):
        parts = entry.key[len(folder) :].removesuffix(".json").split("/")
        names = [scope_of(part) for part in parts]
        if len(names) == 3 and names[0] and names[1] and names[2]:
            found.setdefault(names[0], set()).add((names[1], names[2]))
    return {reader: frozenset(others) for reader, others in found.items()}


def reading_runs(backend: Backend, namespace: str) -> list[str]:
    """Return the runs of a namespace of which is noted what they read, by a look at folders.

    Raises:
        StorageError: The place failed.
    """
    folders = backend.folders(reads_key(namespace))
    return list(filter(None, (scope_of(one.rstrip("/")) for one in folders)))


def delete_reads(backend: Backend, namespace: str, run: str) -> None:
    """Remove what was noted of the reads of a run.

    Raises:
        StorageError: Something could not be removed.
    """
    folder = reads_key(namespace, run)
    if keys := [entry.key for entry in backend.list(folder)]:
        for error in backend.delete_many(keys, missing_ok=True).values():
            raise error
        prune(backend, folder)


def referred_runs(value: Any) -> set[Run]:
    """Return the runs that references in a value name, however large and nested it is.

    Args:
        value: Text, or dicts, lists, tuples and sets of it; other values are passed over.
    """
    found, seen, left = set[Run](), set[int](), [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            found.update((match[1], match[2]) for match in _REF.finditer(one))
        elif isinstance(one, (dict, list, tuple, set, frozenset)) and id(one) not in seen:
            seen.add(id(one))
            left += _items(one)
    return found


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from dict.keys(value)
        yield from dict.values(value)
    else:
        yield from value


def referred_in(record: bytes) -> frozenset[Run]:
    """Return the runs that a record names, also one that is damaged."""
    try:
        return frozenset(referred_runs(json.loads(record)))
    except (ValueError, RecursionError):
        text = record.decode(errors="replace")
        plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
        plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return frozenset(referred_runs(plain))


_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
