"""An index of a namespace's runs: what is known of those that have ended, in one file.

It is never the truth. The records are listed, a page for a thousand runs, and a row counts only
if it is of the very version of the record that is there. So it does not matter whether the index
is missing, old or damaged, or was written by two at once: what it does not know is read, and then
it is written again. Who looks at the runs of a large namespace does that. Who may not write goes on
without.

For the newest runs of a place where a listing costs many requests, not even the records are listed:
`runstore.runs._journal` says of which runs they count.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, TypeVar

from runstore.buffers import flat
from runstore.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    StorageError,
)
from runstore.keys import record_key, scope_of
from runstore.places import Backend, Entry
from runstore.runs._candidates import named_start
from runstore.runs._index_file import (
    ROWS,
    Block,
    Head,
    IndexFileError,
    Row,
    index_file,
    new_blocks,
    parsed_index,
)
from runstore.runs._journal import (
    Journal,
    add_token,
    index_folder,
    is_kept,
    read_journal,
    token_key,
)
from runstore.runs._look import RunLook, is_final
from runstore.steps import each_told, reporting
from runstore.workers import Workers

__all__ = [
    "WORTH",
    "Indexed",
    "index_key",
    "listed_records",
    "listed_with_journal",
    "named_records",
    "read_each",
]

WORTH = 128
"""The fewest runs for which there is an index."""

_MANY_NEW = 32  # rows that are worth to write the index again
_MOST_OPEN = 256  # runs beside an index that is complete whose names do not tell when they began
_MOST_NAMED = 1 << 16  # and others, of which those are read that a look has to show
_MOST_ASKED = 32  # runs that are asked for one by one, so that nothing has to be listed
_AT_ONCE = 32  # records that are read at a time where each is a request

T = TypeVar("T")


def index_key(namespace: str) -> str:
    """Return the key of a namespace's index."""
    return f"{index_folder(namespace)}runs"


def listed_records(backend: Backend, namespace: str) -> dict[str, Entry]:
    """List the records of a namespace, by the name of the run; other files are passed over.

    Raises:
        StorageError: The place failed.
    """
    return named_records(namespace, backend.list(record_key(namespace, "")))


def named_records(namespace: str, entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return those of *entries* that are records, by the name of the run."""
    folder, found = record_key(namespace, ""), dict[str, Entry]()
    for entry in entries:
        if not entry.key.endswith(".json"):
            continue
        name = scope_of(entry.key[len(folder) : -len(".json")])
        if name is not None:
            found[name] = entry
    return found


class Indexed:
    """The index of a namespace, beside the records that are there now.

    Args:
        backend: Where.
        namespace: The namespace.
        listed: The records, as `listed_records` gives them.
        journal: What was noted before they were listed; None where nothing is.
    """

    def __init__(
        self,
        backend: Backend,
        namespace: str,
        listed: dict[str, Entry],
        journal: Journal | None = None,
    ) -> None:
        self._backend = backend
        self._namespace = namespace
        self._listed: dict[str, Entry] | None = listed
        self._journal = journal
        self._is_worth = len(listed) >= WORTH
        self._file = _File.read(backend, namespace) if self._is_worth else _File.nothing()
        self._looks = self._file.looks
        self._unknown: frozenset[str] = frozenset()
        self._last: dict[str, RunLook] = {}
        self._new: list[Row] = []
        self._new_blocks: list[Block] = []
        self._added: set[str] = set()

    @classmethod
    def complete(cls, backend: Backend, namespace: str, journal: Journal) -> "Indexed | None":
        """Return the index if it knows all runs but those in `unknown`; nothing is listed.

        Args:
            backend: Where.
            namespace: The namespace.
            journal: As it is now.
        """
        if len(journal.tokens) != 1:
            return None
        file = _File.read(backend, namespace)
        if file.head.token not in journal.tokens:
            return None
        self = cls(backend, namespace, {}, journal)
        self._listed, self._file, self._is_worth = None, file, True
        self._looks = file.looks
        self._last = {look.name: look for looks in self._looks for look in looks}
        self._unknown = journal.runs | frozenset(file.head.open)
        return self

    @property
    def unknown(self) -> frozenset[str]:
        """Of an index that is complete: the runs whose records have to be read, or are gone."""
        return self._unknown

    def looks(self) -> dict[str, RunLook]:
        """Return what the index knows of the records that are there."""
        return {look.name: look for looks in self._looks for look in looks if self._counts(look)}

    def names(self) -> "set[str] | None":
        """Return of an index that is complete the runs that have a record; nothing is listed.

        None if so many are unknown that a listing is quicker.
        """
        if len(self._unknown) > _MOST_ASKED:
            return None
        open_ = sorted(self._unknown)
        with Workers(max(1, len(open_)), "runstore-runs") as workers:
            there = workers.map(self._is_there, open_)
        return {
            *self.looks(),
            *(name for name, is_there in zip(open_, there, strict=True) if is_there),
        }

    def _is_there(self, name: str) -> bool:
        try:
            self._backend.head(record_key(self._namespace, name))
        except ObjectNotFoundError:
            return False
        return True

    def records(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield name and record of those of *names* that `looks` has and whose record is kept."""
        wanted = set(names)
        for block, looks in zip(self._file.blocks, self._looks, strict=True):
            here = [n for n, look in enumerate(looks) if look.name in wanted and self._counts(look)]
            if not here:
                continue
            texts = block.records()
            for number in here:
                text, name = texts[number], looks[number].name
                if text is not None and name in wanted:
                    wanted.discard(name)
                    yield name, text

    def _counts(self, look: RunLook) -> bool:
        if not is_final(look):
            return False
        if self._listed is None:
            # A block that was kept may have an older row of a run that was written again.
            return look.name not in self._unknown and self._last[look.name] is look
        entry = self._listed.get(look.name)
        return entry is not None and entry.version == look.version

    def add(self, row: Row) -> None:
        """Add a run that was read; only one that has ended is kept."""
        if not self._is_worth or not is_final(row.look):
            return
        if self._listed is None:
            self._added.add(row.look.name)
        else:
            entry = self._listed.get(row.look.name)
            if entry is not None and entry.version == row.look.version:
                self._added.add(row.look.name)
        self._new.append(row)
        if len(self._new) == ROWS:  # so that few records are in memory
            self._new_blocks += new_blocks(self._new)
            self._new = []

    def save(self) -> None:
        """Write the index again, if that is worth it; others that do so meanwhile are welcome."""
        if not self._is_worth:
            self._settle_without()
            return
        left_open = self._left_open()
        completes = self._journal is not None and _may_stay_open(left_open)
        added = len(self._new) + sum(block.rows for block in self._new_blocks)
        many = added >= _MANY_NEW or bool(added and not self._file.blocks)
        if self._listed is None:
            if not (many and completes):
                return
        elif not many and not (completes and self._is_behind()):
            return
        # Who may only read, reads without it. Of two who write it at once, the first one does.
        with suppress(
            PreconditionFailedError, ObjectExistsError, ObjectNotFoundError, StorageError
        ):
            if completes and self._backend.probe().compare_and_swap is True:
                self._write_complete(left_open)
            elif self._listed is not None:
                self._write(Head())

    def _left_open(self) -> tuple[str, ...]:
        """Return the runs that are or may be there, of which the index has no row that counts."""
        if self._listed is None:
            return tuple(sorted(self._unknown - self._added))
        known = self.looks().keys() | self._added
        return tuple(sorted(name for name in self._listed if name not in known))

    def _settle_without(self) -> None:
        """Remove what was noted of a namespace that has too few runs for an index by now."""
        journal, key = self._journal, index_key(self._namespace)
        if journal is None or len(journal.entries) < _MANY_NEW:
            return
        assert self._listed is not None
        # First the index, if there is an old one: it counts with these notes only.
        if not self._backend.delete_many([key], missing_ok=True):
            self._backend.delete_many(journal.settled_by(self._listed), missing_ok=True)

    def _is_behind(self) -> bool:
        """Return whether others cannot go by the index, or have to read much beside it."""
        assert self._journal is not None
        tokens, token = self._journal.tokens, self._file.head.token
        return tokens != {token} or len(self._journal.runs) >= _MANY_NEW

    def _write_complete(self, left_open: tuple[str, ...]) -> None:
        assert self._journal is not None
        token = add_token(self._backend, self._namespace)
        try:
            self._write(Head(token, left_open))
        except RunStoreError:
            key = token_key(self._namespace, token)
            self._backend.delete_many([key], missing_ok=True)
            raise
        if self._listed is None:
            settled = self._journal.settled_by_open()
        else:
            settled = self._journal.settled_by(self._listed)
        self._backend.delete_many(settled, missing_ok=True)

    def _write(self, head: Head) -> None:
        blocks = [*self._kept(), *self._new_blocks, *new_blocks(self._new)]
        swaps = self._backend.probe().compare_and_swap is True
        version = self._file.version if swaps else None
        self._backend.put(
            index_key(self._namespace),
            index_file(blocks, head),
            if_match=version,
            if_absent=swaps and version is None and self._backend.probe().create is True,
        )

    def _kept(self) -> Iterator[Block]:
        """Yield the blocks that stay; then the rows of the others that count, in new ones.

        A block is not kept that is small, or mostly of rows that do not count, or has a row of a
        run that is gone: who goes by an index that is complete would see it.
        """
        others = list[int]()
        for number, looks in enumerate(self._looks):
            gone = self._listed is not None and any(one.name not in self._listed for one in looks)
            if not gone and 2 * sum(map(self._counts, looks)) > ROWS:
                yield self._file.blocks[number]
            else:
                others.append(number)
        yield from new_blocks(
            Row(look, text)
            for number in others
            for look, text in zip(
                self._looks[number], self._file.blocks[number].records(), strict=True
            )
            if self._counts(look)
        )


class _File(NamedTuple):
    """The index as it is stored; without blocks if it is damaged or not there."""

    blocks: list[Block]
    head: Head
    version: str | None
    looks: list[list[RunLook]]

    @classmethod
    def nothing(cls) -> "_File":
        return cls([], Head(), None, [])

    @classmethod
    def read(cls, backend: Backend, namespace: str) -> "_File":
        version = None
        try:
            data, entry = backend.get(index_key(namespace))
            version = entry.version
            blocks, head = parsed_index(flat(data).tobytes())
            return cls(blocks, head, version, [block.looks() for block in blocks])
        except ObjectNotFoundError:
            return cls.nothing()
        except (IndexFileError, ValueError, KeyError, TypeError, ArithmeticError):
            return cls([], Head(), version, [])  # it is written again, whole


def _may_stay_open(names: Iterable[str]) -> bool:
    """Return whether an index is of use beside so many runs that it has no row of."""
    named = [named_start(f"{name}.json") is not None for name in names]
    return len(named) - sum(named) <= _MOST_OPEN and sum(named) <= _MOST_NAMED


def listed_with_journal(
    backend: Backend, namespace: str
) -> tuple[dict[str, Entry], Journal | None]:
    """Return the records of a namespace, and what was noted before they were listed."""
    journal = read_journal(backend, namespace) if is_kept(backend) else None
    return listed_records(backend, namespace), journal


def read_each(
    backend: Backend, function: Callable[[Entry], T | None], entries: Iterable[Entry]
) -> Iterator[T]:
    """Yield what *function* makes of records, 32 at a time where each is a request."""
    with reporting(f"reading the records of runs in {backend.url}", unit="items") as report:
        yield from _read_each(backend, function, each_told(entries, report, 8 * _AT_ONCE))


def _read_each(
    backend: Backend, function: Callable[[Entry], T | None], entries: Iterator[Entry]
) -> Iterator[T]:
    if backend.guarantees.mapped:
        for entry in entries:
            if (one := function(entry)) is not None:
                yield one
        return
    while some := list(islice(entries, 8 * _AT_ONCE)):
        if len(some) == 1:
            found = [function(some[0])]
        else:
            with Workers(min(_AT_ONCE, len(some)), "runstore-runs") as workers:
                found = workers.map(function, some)
        yield from (one for one in found if one is not None)
