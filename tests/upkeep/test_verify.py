"""verify(): all that is stored is checked, in bounded memory, and a stopped check goes on."""

import os
import struct
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.fuzz._mutate import resealed

from runstore import ObjectStore
from runstore.buffers import flat
from runstore.context import new_run
from runstore.errors import (
    BackendUnavailableError,
    InvalidNameError,
    InvalidRequestError,
    StorageError,
)
from runstore.places._memory import MemoryBackend
from runstore.upkeep import _verify_streamed

LARGE = 100_000


class Far(MemoryBackend):
    """Memory that is read as a far place is; it notes what is read whole, and can be changed."""

    guarantees = replace(MemoryBackend.guarantees, mapped=False)

    def __init__(self):
        super().__init__(f"far-{uuid.uuid4()}")
        self.whole = []

    def get(self, key, **how):
        data, entry = super().get(key, **how)
        self.whole.append(entry.size)
        return bytearray(flat(data)), entry

    def damage(self, key, at):
        """Change one bit of what is stored at *key*."""
        data = bytearray(flat(super().get(key)[0]))
        data[at] ^= 1
        self.put(key, [data])


@pytest.fixture
def far(monkeypatch):
    """Give a store whose backend is `Far`, where objects of 100 KB and more are large."""
    monkeypatch.setattr(_verify_streamed, "_LARGE", LARGE)
    store = ObjectStore("memory://far-verify")
    monkeypatch.setattr(store._objects, "backend", Far())
    yield store
    store.close()


@pytest.fixture
def disk(tmp_path):
    """Give a store on disk with ten objects and a record."""
    store = ObjectStore(tmp_path / "store")
    store.write_run(new_run("w", namespace="dev", name="r"))
    for number in range(10):
        store.at(namespace="dev", run="r").put(f"n{number}", np.arange(number + 1))
    return store


def bad(store, *scope, **how):
    """Return the names of what is damaged, by what is found."""
    return [one.ref for one in store.verify(*scope, **how) if one.error is not None]


def test_large_objects_far_away_are_read_in_pieces(far):
    """Arrays, tables of pieces, Parquet, parts and files of folders: none is in memory whole."""
    view = far.at(namespace="dev", run="r")
    table = pa.table({"x": np.random.default_rng(1).random(40_000)})
    view.put("array", np.random.default_rng(2).random(40_000))
    view.put("t.parquet", table)
    view.put("p", table, part=1)
    view.seal("p")
    view.put("big.bin", os.urandom(2 * LARGE))
    Path("tree").mkdir()
    Path("tree/f").write_bytes(os.urandom(2 * LARGE))
    view.put_dir("tree", "tree")
    far.backend.whole.clear()
    found = {one.ref: one for one in far.verify()}
    assert [None] * 5 == [one.error for one in found.values()]
    assert ["dev/r/big.bin"] == [ref for ref, one in found.items() if not one.has_digest]
    assert all(size < LARGE for size in far.backend.whole)


@pytest.mark.parametrize("at", [100, 200_000, -200])
def test_damage_in_a_large_object_far_away_is_found(far, at):
    """One bit at the beginning, in the numbers or in the footer of an object read in pieces."""
    far.at(namespace="dev", run="r").put("array", np.arange(40_000.0))
    far.backend.damage("dev/r/array.arrow", at)
    (found,) = far.verify()
    assert found.damaged
    assert "dev/r/array" in str(found.error)


def test_a_large_part_of_another_write_is_found(far):
    """A part that is whole, but is not the one that the seal names, is damage."""
    view = far.at(namespace="dev", run="r")
    parts = [view.put("p", np.arange(40_000.0) + number, part=number) for number in (1, 2)]
    view.seal("p")
    keys = [entry.key for entry in far.backend.list("dev/r/.parts/")]
    assert len(parts) == len(keys)
    far.backend.put(keys[0], [far.backend.get(keys[1])[0]])
    (found,) = far.verify("dev", "r")
    assert found.damaged


def test_an_object_that_is_replaced_while_it_is_read_is_read_again(far, monkeypatch):
    """The version that is there in the end is checked, and nothing is called damaged."""
    view, numbers = far.at(namespace="dev", run="r"), np.random.default_rng(1)
    monkeypatch.setattr(_verify_streamed, "_LARGE", 1 << 20)
    view.put("array", numbers.random(300_000))
    replaced, read = [], Far.read

    def reading(self, key, *what):
        if not replaced:
            replaced.append(view.put("array", numbers.random(300_000)))
        return read(self, key, *what)

    monkeypatch.setattr(Far, "read", reading)
    assert [None] == [one.error for one in far.verify()]
    assert 1 == len(replaced)


def test_a_check_that_was_stopped_goes_on(disk, tmp_path):
    """What is in the journal is not read again, but for what was written since."""
    journal = tmp_path / "journal"
    some = disk.verify("dev", journal=journal, workers=1)
    first = [next(some).ref for _ in range(4)]
    some.close()
    with journal.open("ab") as file:
        file.write(b'{"mark": "12')  # a process that was killed
    disk.at(namespace="dev", run="r").put("n0", "another")
    found = list(disk.verify("dev", journal=journal))
    assert 11 == len(found)
    assert set(first) - {"dev/r/n0"} == {one.ref for one in found if one.resumed}
    assert [None] * 11 == [one.error for one in found]
    again = list(disk.verify("dev", journal=journal))  # it came to its end
    assert [False] * 11 == [one.resumed for one in again]


def test_damage_is_told_again_after_a_stop(disk, tmp_path):
    """What was found damaged is no entry of the journal, so the next check ends with it, too."""
    path = tmp_path / "store/dev/r/n0.arrow"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    some = disk.verify("dev", "r", journal="j")
    assert any(one.damaged for one in some)
    text = (tmp_path / "j").read_text().splitlines()
    (tmp_path / "j").write_text("\n".join(line for line in text if "complete" not in line) + "\n")
    assert ["dev/r/n0"] == bad(disk, "dev", "r", journal="j")


@pytest.mark.parametrize("content", ["notes\n", "no end", "{}\n", '["x"]\n', "\x80\n"])
def test_a_file_that_is_no_journal_is_left_as_it_is(disk, tmp_path, content):
    """Whoever names another file by mistake does not lose it."""
    path = tmp_path / "notes"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidRequestError, match="is no journal of verify"):
        list(disk.verify(journal=path))
    assert content.encode("latin-1") == path.read_bytes()


def test_a_journal_is_of_one_check(disk, tmp_path):
    """Another scope, store or policy is refused: what was found says nothing of it."""
    next(disk.verify("dev", journal="j"))
    for store, scope in (
        (disk, ()),
        (disk, ("dev", "r")),
        (ObjectStore("other"), ("dev",)),
        (ObjectStore(tmp_path / "store", pickle="deny"), ("dev",)),
    ):
        with pytest.raises(InvalidRequestError, match="of another check"):
            list(store.verify(*scope, journal="j"))
    with pytest.raises(StorageError, match="cannot be used"):
        list(disk.verify(journal=tmp_path))
    line = (tmp_path / "j").read_text().splitlines()[0]
    (tmp_path / "j").write_text(line + '\n{"mark": "no hex", "digest": true, "key": ""}\n')
    with pytest.raises(InvalidRequestError, match="is no journal"):
        list(disk.verify("dev", journal="j"))


def test_wrong_scopes_are_refused_at_once(disk):
    """Before anything is read, not with the first object."""
    for how in (
        {"run": "r"},
        {"shared": True},
        {"namespace": "dev", "prefix": "x"},
        {"namespace": "dev", "run": "r", "shared": True},
        {"workers": 65},
    ):
        with pytest.raises(InvalidRequestError):
            disk.verify(**how)
    with pytest.raises(InvalidNameError):
        disk.verify("dev", "r", "../x/")


def test_an_outage_is_no_damage(disk, monkeypatch):
    """A place that fails ends the check with its error; the journal keeps what was found."""
    get, calls = disk.backend.get, []

    def failing(key, **how):
        calls.append(key)
        if len(calls) > 20:
            raise BackendUnavailableError("away", "")
        return get(key, **how)

    for number in range(20):
        disk.at(namespace="dev", run="r").put(f"m{number}", number)
    monkeypatch.setattr(disk.backend, "get", failing)
    with pytest.raises(BackendUnavailableError):
        list(disk.verify("dev", journal="j", workers=1))
    monkeypatch.setattr(disk.backend, "get", get)
    assert "complete" not in Path("j").read_text()
    assert any(one.resumed for one in disk.verify("dev", journal="j"))


def test_structure_that_lies_is_found(disk, tmp_path):
    """Offsets that point nowhere are damage, although somebody made the digests fit."""
    path = tmp_path / "store/dev/r/text.arrow"
    texts = [f"text number {i:05}" for i in range(40_000)]
    disk.at(namespace="dev", run="r").put("text", pa.table({"t": pa.array(texts, "large_string")}))
    stored = path.read_bytes()
    old, new = struct.pack("<2q", 17, 34), struct.pack("<2q", 17, 1 << 40)
    assert 1 == stored.count(old)
    path.write_bytes(resealed(stored, stored.replace(old, new)))
    assert ["dev/r/text"] == bad(disk, "dev", "r", "text")


def test_parts_that_no_seal_names_are_checked(tmp_path):
    """One that is damaged, or stands under another's key, is found before it is sealed."""
    store = ObjectStore(tmp_path / "store")
    view = store.at(namespace="dev", run="r")
    for part in range(3):
        view.put("p", np.arange(1000.0) + part, part=part)
    view.put("other", [1], part=0)
    first, second, _ = sorted((tmp_path / "store/dev/r/.parts/p.arrow").iterdir())
    assert [None] * 4 == [found.error for found in store.verify("dev", "r")]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    (other,) = (tmp_path / "store/dev/r/.parts/other.arrow").iterdir()
    second.write_bytes(other.read_bytes())
    found = {found.ref: found.damaged for found in store.verify("dev")}
    assert [first.name, second.name] == [ref.split()[1] for ref, bad in found.items() if bad]
    assert 2 == len([one for one in store.verify("dev", "r", "p") if one.damaged])
    assert 1 == len(list(store.verify("dev", "r", "other")))
