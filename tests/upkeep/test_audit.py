"""audit(): what a store holds, by kind, without a look at any value."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.context import new_run
from runstore.errors import InvalidNameError, InvalidRequestError


class Bomb:
    """A value that fails if anybody loads it."""

    def __reduce__(self):
        return _load, ()


def _load():
    raise AssertionError("it was loaded")


@pytest.fixture
def disk(tmp_path):
    """Give a store on disk, still empty."""
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def filled(disk):
    """Give a store with objects of several kinds, two runs, one record, and files of others."""
    disk.write_run(new_run("w", namespace="dev", name="r"))
    view = disk.at(namespace="dev", run="r")
    view.put("frame", pd.DataFrame({"a": [1, 2]}))
    view.put("long-" + "x" * 300, [1])
    view.put("bomb", lambda: Bomb())
    view.put("report.html", "<p>")
    for part in range(3):
        view.put("parts", np.arange(10_000.0), part=part)
    view.seal("parts")
    disk.at(namespace="dev").put("model.pkl", {1}, scope="namespace")
    disk.at(namespace="prod", run="p").put("x", 1)
    root = Path("store")
    (root / "notes.txt").write_text("of another program")
    (root / "dev/r/junk.arrow").write_bytes(b"of another program, too")
    (root / "dev/r/%zz").write_text("no name")
    with pa.ipc.new_file(root / "dev/r/other.arrow", pa.schema([("a", pa.int64())])) as writer:
        writer.write(pa.record_batch({"a": [1]}))
    return disk


def test_an_audit_counts_and_names_what_is_stored(filled):
    """Pickles and files of others are named; sizes are by run, with those of parts."""
    found = filled.audit()
    assert (8, 1, 2, 0) == (found.objects, found.records, found.pickled, found.signed)
    assert ["dev/_shared/model.pkl", "dev/r/bomb"] == [one.ref for one in found.of("pickle")]
    foreign = {one.ref for one in found.of("foreign")}
    assert {"notes.txt", "dev/r/junk", "dev/r/%zz", "dev/r/other"} == foreign
    assert () == found.of("unsigned") + found.of("newer") + found.of("unreadable")
    usage = {one.ref: one for one in found.runs}
    assert ["dev/r", "prod/p", "dev/_shared"] == list(usage)  # the largest first
    assert [True, False] == [usage[ref].recorded for ref in ("dev/r", "prod/p")]
    assert usage["dev/r"].size > 3 * 80_000
    assert found.size == sum(one.size for one in found.runs)
    assert 1 == found.types["pandas.DataFrame"]
    assert {"arrow": 6, "html": 1, "pkl": 1} == found.formats
    assert {"runstore", "python", "pandas", "numpy"} <= set(found.versions)
    assert 6 - 1 == sum(found.versions["runstore"].values())  # all but the foreign one


def test_an_audit_of_a_namespace_or_a_run(filled):
    """Only what is asked for is looked at."""
    assert {"dev/r", "dev/_shared"} == {one.ref for one in filled.audit("dev").runs}
    run = filled.audit("dev", "r")
    assert ["dev/r"] == [one.ref for one in run.runs]
    assert (6, 1, True) == (run.objects, run.records, run.runs[0].recorded)
    assert (0, 0, ()) == (filled.audit("none").objects, filled.audit("none").records, ())
    with pytest.raises(InvalidRequestError, match="needs namespace="):
        filled.audit(run="r")
    with pytest.raises(InvalidNameError):
        filled.audit("../x")


def test_unsigned_objects_are_named_under_the_policy_signed(disk, tmp_path, monkeypatch):
    """Only there: everywhere else none is signed. No key is needed to look."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    signing = ObjectStore(tmp_path / "store", pickle="signed")
    signing.at(namespace="dev", run="r").put("signed", [1])
    disk.at(namespace="dev", run="r").put("plain", [1])
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    assert () == disk.audit().findings
    found = signing.audit()
    assert ["dev/r/plain"] == [one.ref for one in found.of("unsigned")]
    assert 1 == found.signed


def test_parts_that_no_seal_names_are_found(disk):
    """They count by their size, each that is a pickle is named, and sealed ones are not."""
    view, shared = disk.at(namespace="dev", run="r"), disk.at(namespace="dev")
    array = np.arange(10_000.0)
    view.put("sealed", array, part=1)
    view.seal("sealed")
    assert () == disk.audit().findings
    view.put("sealed", array + 1, part=1)
    view.put("going", lambda: Bomb(), part="a")
    view.put("long-" + "x" * 300, array, part=1)
    shared.put("common", array, part=(1, 2), scope="namespace")
    (Path("store/dev/r/.parts/going.arrow") / "notes.txt").write_text("of another program")
    for found in (disk.audit(), disk.audit("dev")):
        told = {one.ref: one.detail for one in found.of("unsealed")}
        names = ("r/sealed", "r/going", "r/long-" + "x" * 300, "_shared/common")
        assert {f"dev/{name}": "1 part that no seal names" for name in names} == told
        assert ["part 'a' of dev/r/going"] == [one.ref for one in found.of("pickle")]
        assert ["dev/r/.parts/going.arrow/notes.txt"] == [one.ref for one in found.of("foreign")]
        ours = [p for p in Path("store").rglob("*.arrow") if p.is_file()]
        assert (1, sum(p.stat().st_size for p in ours)) == (found.objects, found.size)
    assert 3 == len(disk.audit("dev", "r").of("unsealed"))
    view.seal("sealed")
    found = disk.audit("dev", "r").of("unsealed")
    assert "dev/r/sealed" in {one.ref for one in found}  # the part of the older seal
    disk.sweep(older_than=0)
    assert () == disk.audit().of("unsealed")


def test_newer_and_damaged_objects_are_told_apart(disk, monkeypatch):
    """One of a newer format is named as such, and one whose footer is damaged as unreadable."""
    view = disk.at(namespace="dev", run="r")
    table = pa.table({"a": np.arange(20_000)})
    view.put("damaged", table)
    damaged = Path("store/dev/r/damaged.arrow")
    with monkeypatch.context() as patch:
        patch.setattr("runstore.containers._streamed._VERSION", b"9")
        view.put("newer", table)
    data = bytearray(damaged.read_bytes())
    data[-200] ^= 1
    damaged.write_bytes(data)
    found = disk.audit()
    assert {"newer": "dev/r/newer", "unreadable": "dev/r/damaged"} == {
        one.kind: one.ref for one in found.findings
    }


def test_an_audit_takes_one_request_for_each_object(disk, monkeypatch):
    """The end of a file with a header is read once; plain files are not read."""
    view = disk.at(namespace="dev", run="r")
    view.put_many({f"n{number}": number for number in range(40)})
    view.put("x.json", 1)
    calls = []
    for name in ("get", "tail", "head", "read"):
        real = getattr(disk.backend, name)

        def counted(*what, real=real, name=name, **how):
            calls.append(name)
            return real(*what, **how)

        monkeypatch.setattr(disk.backend, name, counted)
    assert 41 == disk.audit().objects
    assert ["tail"] * 40 == calls
