"""Looking at the runs of a namespace: what is known of each from its record."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from runstore.buffers import flat
from runstore.errors import ObjectNotFoundError
from runstore.keys import record_key, scope_of
from runstore.places import Backend, Entry
from runstore.runs._alive import Liveness
from runstore.runs._index import Indexed, listed_with_journal, read_each
from runstore.runs._index_file import Row
from runstore.runs._look import RunLook, is_final, look_at
from runstore.runs._reads import reads_of
from runstore.runs._removal import mark_of

__all__ = ["looks"]


def looks(
    backend: Backend, namespace: str, known: Mapping[str, RunLook] | None = None
) -> Iterator[RunLook]:
    """Look at every run of a namespace that has a record; of most the index tells.

    Args:
        backend: Where.
        namespace: The namespace.
        known: Runs by name, as they were before: of one that has ended and whose record is the
            same version nothing is read.

    Raises:
        StorageError: The place failed; what is not known must not be removed.
    """
    reads: dict[str, frozenset[tuple[str, str]]] | None = None
    (listed, journal), found = listed_with_journal(backend, namespace), dict[str, RunLook]()
    for name, look in (known or {}).items():
        entry = listed.get(name)
        if entry is not None and entry.version == look.version and is_final(look):
            found[name] = look
    indexed = None
    if len(found) < len(listed):
        indexed = Indexed(backend, namespace, listed, journal)
        found |= indexed.looks()
    yield from found.values()
    new = [entry for name, entry in listed.items() if name not in found]
    for row in read_each(
        backend, partial(_read, backend, namespace, Liveness(backend, namespace)), new
    ):
        assert indexed is not None
        indexed.add(row)
        look = row.look
        if not is_final(look) and look.removal is None:
            reads = reads_of(backend, namespace) if reads is None else reads
            look = replace(look, uses=look.uses | reads.get(look.name, frozenset()))
        yield look
    if indexed is not None:
        indexed.save()


def _read(backend: Backend, namespace: str, liveness: Liveness, entry: Entry) -> Row | None:
    name = scope_of(entry.key[len(record_key(namespace, "")) : -len(".json")])
    assert name is not None
    try:
        data, found = backend.get(entry.key)
    except ObjectNotFoundError:
        return None  # deleted while we look
    text = flat(data).tobytes()
    where = f"{backend.url}/{entry.key}"
    look = look_at(text, namespace, name, found.version, where, liveness)
    mark = mark_of(text) if found.version is None else None
    look = replace(look, written=found.modified.timestamp(), mark=mark)
    return Row(look, text.decode() if is_final(look) else None)
