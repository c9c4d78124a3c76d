"""Run records: what is written comes back or is said to be not kept; one bad one hides no other."""

import json
import math
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from runstore import ObjectStore, run_workflow
from runstore.context import ObjectUse, StageRecord, WorkflowRun, new_run
from runstore.errors import CorruptObjectError, UnreadableWarning
from runstore.places import Wrapper
from runstore.runs import list_runs, this_process


@pytest.fixture
def disk(tmp_path):
    """Give a store on disk, whose records can be spoilt."""
    return ObjectStore(tmp_path / "store")


def recorded(store, name, namespace="dev", **changes):
    run = new_run("w", namespace=namespace, name=name).model_copy(update=changes)
    store.write_run(run)
    return run


def file_of(tmp_path, name, namespace="dev"):
    return tmp_path / "store" / namespace / "_runs" / f"{name}.json"


def test_a_record_is_json_that_people_can_read(disk, tmp_path):
    """Every field stands by its name, one a line, and the digest last."""
    recorded(disk, "r1", result={"rmse": 1.5})
    text = file_of(tmp_path, "r1").read_text()
    document = json.loads(text)
    assert ["name", "digest"] == [key for key in document if key in ("name", "digest")]
    assert "digest" == list(document)[-1]
    assert re.fullmatch("xxh3_128:[0-9a-f]{32}", document["digest"])
    assert '\n  "rmse": 1.5' in text


def test_a_record_comes_back_as_it_was(disk):
    """Times, stages and the result are equal."""
    stage = StageRecord(name="s", state="finished", attempts=2, items=3, failed_items={1: "why"})
    written = recorded(disk, "r1", stages=(stage,), result=[1, 2.5, None, {"a": "é"}], error="e")
    assert written == disk.read_run("r1", namespace="dev")


def test_any_flipped_bit_is_found_or_changes_nothing(disk, tmp_path):
    """A record never reads as another one: each bit of it, one at a time."""
    stage = StageRecord(name="s", state="failed", error="bad")
    written = recorded(disk, "r1", stages=(stage,), result={"rmse": 12.5, "n": [1, True, None]})
    path = file_of(tmp_path, "r1")
    data = path.read_bytes()
    found = 0
    for position in range(len(data)):
        spoilt = bytearray(data)
        spoilt[position] ^= 1 << (position % 8)
        path.write_bytes(spoilt)
        try:
            assert written == disk.read_run("r1", namespace="dev")
        except CorruptObjectError:
            found += 1
    assert found > len(data) / 2


def refused(name):
    """Refuse what strict JSON does not have."""
    raise AssertionError(f"the record has {name}")


def test_a_record_is_strict_json(disk, tmp_path):
    """Numbers that are not finite are null, a field says what they are, and they come back."""
    odd = {"loss": math.nan, "a/b~c": [1, math.inf, {"x": -math.inf}], "none": None}
    stage = StageRecord(name="s", result=odd, item_results={3: math.nan})
    recorded(disk, "r1", result=math.nan, config=odd, input={"x": 0.5}, stages=(stage,))
    text = file_of(tmp_path, "r1").read_text()
    document = json.loads(text, parse_constant=refused)
    assert document["result"] is document["config"]["loss"] is None
    assert {
        "NaN": {"/result", "/stages/0/result/loss", "/stages/0/item_results/3", "/config/loss"},
        "Infinity": {"/stages/0/result/a~1b~0c/1", "/config/a~1b~0c/1"},
        "-Infinity": {"/stages/0/result/a~1b~0c/2/x", "/config/a~1b~0c/2/x"},
    } == {what: set(found) for what, found in document["not_finite"].items()}
    run = disk.read_run("r1", namespace="dev")
    assert repr((math.nan, odd, {"x": 0.5})) == repr((run.result, run.config, run.input))
    assert repr((odd, {3: math.nan})) == repr((run.stages[0].result, run.stages[0].item_results))


def test_a_record_with_pythons_own_nan_is_read(disk, tmp_path):
    """As versions before wrote it; and a wrong field is damage, not a crash."""
    recorded(disk, "r1")
    path = file_of(tmp_path, "r1")
    document = json.loads(path.read_text())
    del document["digest"]
    path.write_text(json.dumps(document | {"result": math.nan}))
    assert "nan" == repr(disk.read_run("r1", namespace="dev").result)
    for wrong in ({"NaN": ["/nowhere/0"]}, {"1": ["/result"]}, {"NaN": ["/name"]}, [1], {"NaN": 1}):
        path.write_text(json.dumps(document | {"not_finite": wrong}))
        with pytest.raises(CorruptObjectError, match="not_finite"):
            disk.read_run("r1", namespace="dev")


def test_a_record_of_many_stages_is_bounded(disk, tmp_path):
    """Each stage may name many objects, and the record some of all; it says what is left out."""
    uses = tuple(
        ObjectUse(ref=f"runstore://dev/r1/{'n' * 100}-{n}@{n:032x}", size=n, version="v" * 40)
        for n in range(1000)
    )
    stages = tuple(StageRecord(name=f"s{n}", reads=uses, writes=uses) for n in range(30))
    recorded(disk, "r1", stages=stages)
    assert file_of(tmp_path, "r1").stat().st_size < 10 << 20
    found = disk.read_run("r1", namespace="dev").stages
    assert 20_000 == sum(len(stage.reads) + len(stage.writes) for stage in found)
    for stage in found:
        assert 1000 == len(stage.reads) + stage.reads_left_out
        assert 1000 == len(stage.writes) + stage.writes_left_out


def test_blanks_may_change_and_values_may_not(disk, tmp_path):
    """A reformatted record is read; an edited one says how to accept it, and then is read, too."""
    recorded(disk, "r1", result=1.0)
    path = file_of(tmp_path, "r1")
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document, indent=4, sort_keys=True))
    assert 1.0 == disk.read_run("r1", namespace="dev").result
    document["result"] = 2.0
    path.write_text(json.dumps(document))
    with pytest.raises(CorruptObjectError, match="remove the field 'digest'"):
        disk.read_run("r1", namespace="dev")
    del document["digest"]
    path.write_text(json.dumps(document))
    assert 2.0 == disk.read_run("r1", namespace="dev").result


@pytest.mark.parametrize("with_digest", [True, False])
def test_a_copied_record_is_refused(disk, tmp_path, with_digest):
    """A record belongs to its run and namespace, whoever wrote it."""
    recorded(disk, "r1")
    path = file_of(tmp_path, "r1")
    if not with_digest:
        document = json.loads(path.read_text())
        del document["digest"]
        path.write_text(json.dumps(document))
    shutil.copy(path, file_of(tmp_path, "r2"))
    file_of(tmp_path, "r1", "prod").parent.mkdir(parents=True)
    shutil.copy(path, file_of(tmp_path, "r1", "prod"))
    for name, namespace in (("r2", "dev"), ("r1", "prod")):
        with pytest.raises(CorruptObjectError, match="is the record of dev/r1"):
            disk.read_run(name, namespace=namespace)
    with pytest.warns(UnreadableWarning, match="is the record of dev/r1"):
        assert [("dev", "r1")] == [(run.namespace, run.name) for run in disk.runs()]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("r2.json", b"{"),
        ("r2.json", b"\xff\xfe"),
        ("r2.json", b""),
        ("r2.json", b"[]"),
        ("r2.json", b"[" * 100_000),
        ("r2.json", b'{"uid": 1}'),
        ("r2.json", b'{"result": ' + b"9" * 5000 + b"}"),
        ("r2.json", b'{"uid": "u", "name": "a/b", "workflow": "w"}'),
        ("notes.txt", b"remember the milk"),
        ("r1.json.bak", b"{}"),
        ("_hidden.json", b"{}"),
        ("more/r3.json", b"{}"),
    ],
)
def test_one_bad_file_hides_no_other_record(disk, tmp_path, name, data):
    """It costs a warning that names it, and the others are listed, newest first."""
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    recorded(disk, "r1", started_at=early)
    recorded(disk, "r9", started_at=late)
    path = tmp_path / "store" / "dev" / "_runs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    for namespace in ("dev", None):
        with pytest.warns(UnreadableWarning, match=re.escape(f"dev/_runs/{name}")):
            assert ["r9", "r1"] == [run.name for run in disk.runs(namespace)]


def test_a_record_without_a_zone_is_listed_beside_others(disk, tmp_path):
    """Times without a zone, as a person may write them, count as UTC."""
    recorded(disk, "r1", started_at=datetime(2026, 1, 1, tzinfo=UTC))
    document = json.loads(file_of(tmp_path, "r1").read_text())
    document |= {"name": "r2", "started_at": "2026-01-02T00:00:00"}
    del document["digest"]
    file_of(tmp_path, "r2").write_text(json.dumps(document))
    recorded(disk, "r3", started_at=None)
    assert ["r2", "r1", "r3"] == [run.name for run in disk.runs("dev")]


def test_fields_of_a_newer_runstore_are_passed_over(disk, tmp_path):
    """A record with more fields than are known here is read."""
    run = recorded(disk, "r1", stages=(StageRecord(name="s"),), runner=this_process())
    document = json.loads(file_of(tmp_path, "r1").read_text())
    document["lineage"] = document["stages"][0]["read"] = document["runner"]["cores"] = ["x"]
    del document["digest"]
    file_of(tmp_path, "r1").write_text(json.dumps(document))
    assert run == disk.read_run("r1", namespace="dev")


def cyclic():
    value = [1]
    value.append(value)
    return value


def shared():
    value = [1, 2]
    for _ in range(40):
        value = [value, value]
    return value


class Loud(dict):
    def items(self):
        raise ZeroDivisionError

    __iter__ = keys = values = __len__ = items


class Text(str):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ((1, (2.5, "a")), [1, [2.5, "a"]]),
        (np.float64(1.5), 1.5),
        (Text("a"), "a"),
        (Loud(a=1), {"a": 1}),
        (2**300, 2**300),
        (math.inf, math.inf),
        ({"a": {"b": [None, True]}}, {"a": {"b": [None, True]}}),
    ],
    ids=["tuple", "numpy", "text", "dict", "large int", "infinity", "nested"],
)
def test_a_result_that_json_can_keep_comes_back(disk, result, kept):
    """What comes back is equal; tuples are lists, and subclasses what they are made of."""
    recorded(disk, "r1", result=result)
    got = disk.read_run("r1", namespace="dev").result
    assert (kept, type(kept)) == (got, type(got))
    assert ["r1"] == [run.name for run in disk.runs()]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({1: "a"}, "a key of type int, which JSON would change"),
        ({"a": {None: 1}}, "key of type NoneType"),
        ("\ud800", "lone surrogates"),
        ({"a": ["b\udcff"]}, "lone surrogates"),
        ({"\ud800": 1}, "lone surrogates"),
        (cyclic(), "contains itself"),
        (shared(), "longer than 65,536 characters"),
        ("x" * 70_000, "longer than 65,536 characters"),
        ("é" * 40_000, "longer than 65,536 characters"),
        (10**5000, "an int that is too long"),
        ({1, 2}, "no form for the set"),
        ([np.arange(3)], "no form for the ndarray"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) and value.isprintable() else "value",
)
def test_a_result_that_is_not_kept_is_said_to_be(disk, result, reason):
    """Its type and the reason stand in its place, and the record is read."""
    recorded(disk, "r1", result=result)
    got = disk.read_run("r1", namespace="dev").result
    assert (False, True) == (got["kept"], reason in got["reason"])
    assert f"builtins.{type(result).__name__}" == got["type"]


def bad_text():
    raise ValueError("file \udcff is bad")


def surrogate():
    return "\ud800"


def integer_keys():
    return {1: "a"}


@pytest.mark.parametrize("stage", [bad_text, surrogate, integer_keys])
def test_what_a_run_returns_or_raises_can_be_read_back(disk, stage):
    """Errors and results with lone surrogates, and keys that are no text, leave a good record."""
    workflow = {
        "metadata": {"name": "w"},
        "spec": {"stages": [{"name": "s", "target": stage}]},
    }
    run = run_workflow(workflow, store=disk, raise_on_failure=False)
    (listed,) = disk.runs()
    assert (run.name, run.state) == (listed.name, listed.state)
    assert (stage is bad_text) == (listed.state == "failed")
    assert listed.error is None or r"file \udcff is bad" in listed.error
    WorkflowRun.model_validate_json(listed.model_dump_json())


def test_a_listing_with_details_survives_a_damaged_object(disk, tmp_path):
    """The damaged object is listed without details, and a warning names it."""
    view = disk.at(namespace="dev", run="r1")
    for name in ("a", "b", "c" * 300):
        view.put(name, 1)
    folder = tmp_path / "store" / "dev" / "r1"
    (folder / "a.arrow").write_bytes(b"not Arrow")
    with pytest.warns(UnreadableWarning, match="listed without details: dev/r1/a"):
        infos = view.list(details=True)
    assert [("a", None), ("b", "json")] == [(info.name, info.codec) for info in infos[:2]]
    (long,) = folder.glob("ccc*")
    long.write_bytes(b"not Arrow")
    with pytest.warns(UnreadableWarning, match="left out of the list"):
        assert ["a", "b"] == [info.name for info in view.list()]


class FarAway(Wrapper):
    """A place where each read is a request, and is answered when as many others are under way."""

    def __init__(self, backend, together):
        super().__init__(backend)
        self._barrier = threading.Barrier(together)

    @property
    def guarantees(self):
        return replace(self._backend.guarantees, mapped=False)

    def get(self, key, **how):
        self._barrier.wait(100)
        return self._backend.get(key, **how)


def test_records_far_away_are_read_at_once(disk, tmp_path):
    """32 records are read at a time; each is in its place, and a damaged one is left out."""
    for number in range(64):
        recorded(disk, f"r{number:02}", started_at=datetime(2026, 1, 1, 0, number % 60, tzinfo=UTC))
    with file_of(tmp_path, "r07").open("ab") as file:
        file.write(b"damage")
    expected = _runs_and_warning(disk.backend)
    assert expected == _runs_and_warning(FarAway(disk.backend, 32))
    assert 63 == len(expected)


def _runs_and_warning(backend):
    with pytest.warns(UnreadableWarning, match="r07"):
        return list_runs(backend, "dev")


def test_what_stands_in_for_a_folder_is_no_record():
    """The empty object that consoles of S3 make for a folder is passed over without a word."""
    store = ObjectStore("memory://folder marker")
    recorded(store, "r1")
    store.backend.put("dev/_runs/", [b""])
    assert ["r1"] == [run.name for run in store.runs()]


def test_a_damaged_object_without_a_name_does_not_outlive_its_run(disk, tmp_path):
    """delete_run removes what list() cannot name, and nothing that is not ours."""
    recorded(disk, "r1", state="finished")
    disk.at(namespace="dev", run="r1").put("c" * 300, 1)
    (damaged,) = (tmp_path / "store" / "dev" / "r1").iterdir()
    damaged.write_bytes(b"not Arrow")
    (damaged.parent / "notes").write_text("mine")
    with pytest.warns(UnreadableWarning, match="left out of the list"):
        disk.delete_run("r1", namespace="dev")
    assert ["notes"] == [path.name for path in damaged.parent.iterdir()]
    assert [] == disk.runs()


@pytest.mark.parametrize("pid", [-1, 0, 2**31, 2**40, 10**30])
def test_a_record_may_name_any_process(disk, tmp_path, pid):
    """A number that no process can have is that of a process which is gone."""
    run = recorded(disk, "r1", state="running", runner=this_process())
    assert "running" == disk.read_run("r1", namespace="dev").state
    recorded(disk, "r1", state="running", runner=run.runner.model_copy(update={"pid": pid}))
    assert ["lost"] == [run.state for run in disk.runs()]
    disk.delete_run("r1", namespace="dev", force=True)
    assert [] == disk.runs()


def test_a_process_may_have_any_name(tmp_path):
    """A run is recorded also by a process whose name is not UTF-8."""
    code = (
        "open('/proc/self/comm', 'wb').write(b'caf\\xe9) R')\n"
        "from runstore.runs import this_process\n"
        "print(this_process().started)"
    )
    started = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert int(started) > 0
