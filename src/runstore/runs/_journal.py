"""What the index of a namespace does not know yet, as files whose names say it all.

    <namespace>/_index/new/<run>.<random>    the record of the run counts, whatever the index says
    <namespace>/_index/new/_token.<random>   the token of the index that is complete but for these

Before a record is written by `write_run`, and before one is removed, such a file is made. So who
has listed these files, and has read an index with the only token that is there, knows all runs
without a listing of all records. Where there are more tokens, or another one, the index is not
complete.

It is only for places where a listing costs requests.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from runstore.keys import latest_key, record_key, scope_of
from runstore.places import Backend, Entry, prune

__all__ = [
    "Journal",
    "add_token",
    "distrust",
    "forget_index",
    "index_folder",
    "is_kept",
    "note_run",
    "read_journal",
    "token_key",
]

_MARK = "_token"  # no run is called so
_GONE = "-"  # begins the mark of a record that is going to be removed
_FORGOTTEN = timedelta(days=1)  # after which a run will not write its first record any more


class Journal(NamedTuple):
    """What these files say.

    Attributes:
        runs: Runs whose record counts.
        tokens: Of indexes that were complete.
        entries: The files.
    """

    runs: frozenset[str]
    tokens: frozenset[str]
    entries: tuple[Entry, ...]

    def settled_by(self, listed: "dict[str, Entry]") -> list[str]:
        """Return the keys of the files that an index of the runs *listed* makes needless."""
        latest = datetime.now(UTC) - _FORGOTTEN
        settled = list[str]()
        for entry in self.entries:
            name, mark = _parsed(entry.key)
            # A record that was to be written, and is there; or to be removed, and is not.
            done = name is None or (name in listed) != mark.startswith(_GONE)
            if done or entry.modified < latest:
                settled.append(entry.key)
        return settled

    def settled_by_open(self) -> list[str]:
        """Return the keys of those that an index makes needless which was made without a listing.

        It has every run of them, or says that it has to be read. What is going to be removed may
        be there still, so that stays noted.
        """
        return [entry.key for entry in self.entries if not _parsed(entry.key)[1].startswith(_GONE)]


def index_folder(namespace: str) -> str:
    """Return the folder of the index of a namespace."""
    return f"{record_key(namespace, '').partition('/')[0]}/_index/"


def is_kept(backend: Backend) -> bool:
    """Return whether a place is one where these files are worth their requests."""
    guarantees = backend.guarantees
    return not guarantees.mapped and guarantees.compare_and_swap is not False


def note_run(backend: Backend, namespace: str, run: str, *, gone: bool = False) -> None:
    """Note that the record of a run counts from now on.

    It is called before a record is written for the first time, after one is written that has been
    there, and before one is removed: then with *gone*.

    Raises:
        StorageError: The place failed.
    """
    if is_kept(backend):
        scope = record_key(namespace, run).rpartition("/")[2].removesuffix(".json")
        _put(backend, namespace, scope, _GONE if gone else "")


def distrust(backend: Backend, namespace: str) -> None:
    """Note that the index of a namespace is not complete, whatever it says of itself.

    Raises:
        StorageError: The place failed.
    """
    if is_kept(backend):
        _put(backend, namespace, _MARK)


def forget_index(backend: Backend, namespace: str) -> None:
    """Remove the index of a namespace, and what was noted, if it has no record any more.

    So are the names of its newest finished runs: there are none.

    Raises:
        StorageError: The place failed.
    """
    if next(backend.list(record_key(namespace, "")), None) is not None:
        return
    folder, latest = index_folder(namespace), latest_key(namespace, "w").rpartition("/")[0] + "/"
    noted = [entry.key for entry in backend.list(f"{folder}new/")]
    # First the index, which counts with these notes only. A run that begins just now is found all
    # the same: without an index its record is listed.
    for keys in ([f"{folder}runs"], noted, [entry.key for entry in backend.list(latest)]):
        if keys:
            for error in backend.delete_many(keys, missing_ok=True).values():
                raise error
    for one in (folder, latest):
        prune(backend, one)


def add_token(backend: Backend, namespace: str) -> str:
    """Make the token of a new index, and return it."""
    return _put(backend, namespace, _MARK)


def token_key(namespace: str, token: str) -> str:
    """Return the key of a token."""
    return f"{index_folder(namespace)}new/{_MARK}.{token}"


def _put(backend: Backend, namespace: str, what: str, kind: str = "") -> str:
    mark = kind + secrets.token_hex(8)
    backend.put(f"{index_folder(namespace)}new/{what}.{mark}", [b"\n"])
    return mark


def read_journal(backend: Backend, namespace: str) -> Journal:
    """List these files.

    Raises:
        StorageError: The place failed.
    """
    runs, tokens, entries = set[str](), set[str](), list[Entry]()
    for entry in backend.list(f"{index_folder(namespace)}new/"):
        name, mark = _parsed(entry.key)
        if name is not None:
            runs.add(name)
        elif mark:
            tokens.add(mark)
        else:
            continue  # not ours
        entries.append(entry)
    return Journal(frozenset(runs), frozenset(tokens), tuple(entries))


def _parsed(key: str) -> tuple[str | None, str]:
    """Return the run that a file names and its mark; of a token no run; of another file neither."""
    scope, _, mark = key.rpartition("/")[2].rpartition(".")
    if scope == _MARK:
        return None, mark
    name = scope_of(scope)
    return name, "" if name is None else mark
