"""What is known of all runs of a store: which go on, and what these read."""

import time
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from runstore.arguments import printable
from runstore.errors import AccessDeniedError, UnreadableWarning
from runstore.places import Entry
from runstore.runs import RunLook, living, looks
from runstore.upkeep._retention import QUIET

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["Known", "keeps_shared_parts", "known_of", "readers", "unseen_readers", "warn"]


class Known(NamedTuple):
    """What is known of the runs.

    Attributes:
        runs: By namespace and name.
        unseen: Namespaces whose records may not be read.
    """

    runs: dict[str, dict[str, RunLook]]
    unseen: tuple[str, ...] = ()


def known_of(
    store: "WholeStore", before: Known | None = None, *, needed: Iterable[str] = ()
) -> Known:
    """Look at all runs that have a record.

    Those of every namespace: a run that goes on may read what is in another one.

    Args:
        store: Where.
        before: What was known: records of ended runs that are the same are not read again.
        needed: Namespaces of which runs may go: without their records, all their runs would look
            as if they had none.

    Raises:
        AccessDeniedError: The records of one of *needed* may not be read.
        StorageError: The place failed.
    """
    found, unseen, needed = dict[str, dict[str, RunLook]](), list[str](), frozenset(needed)
    for namespace in store.namespaces():
        found[namespace] = {}
        earlier = {} if before is None else before.runs.get(namespace, {})
        try:
            for look in looks(store.backend, namespace, earlier):
                found[namespace][look.name] = look
                known = earlier.get(look.name)
                if look.error is not None and (known is None or known.error is None):
                    warn(f"its run is kept: {look.error}")
        except AccessDeniedError as exc:
            if namespace in needed:
                raise
            if before is None or namespace not in before.unseen:
                warn(f"what runs of {namespace!r} read is not known: {exc}")
            unseen.append(namespace)
            del found[namespace]
    return Known(found, tuple(unseen))


def readers(known: Known) -> dict[str, dict[str, str]]:
    """Return which runs are read by one that goes on, by namespace and name, with the reader."""
    read: dict[str, dict[str, str]] = {}
    for namespace, found in known.runs.items():
        for look in found.values():
            if look.state == "lost" and time.time() - look.written > QUIET:
                continue  # else it may go on after all
            for other, name in look.uses:
                if (other, name) != (namespace, look.name):
                    read.setdefault(other, {})[name] = f"{namespace}/{look.name}"
    return read


def unseen_readers(known: Known) -> str | None:
    """Return why no run may go, since nobody knows what is read; None if that is known."""
    if not known.unseen:
        return None
    return f"it may be read by runs of {known.unseen[0]!r}, whose records may not be read"


def keeps_shared_parts(known: Known, namespace: str, entries: list[Entry]) -> bool:
    """Return whether a run that goes on may seal these parts, which the runs of *namespace* share.

    It may be one that began before the newest of them was put.
    """
    newest = max(entry.modified.timestamp() for entry in entries)
    found = known.runs.get(namespace, {}).values()
    return any(living(look.state) and look.started <= newest for look in found)


def warn(message: str) -> None:
    """Warn of what is not known."""
    warnings.warn(UnreadableWarning(printable(message)), stacklevel=4)
