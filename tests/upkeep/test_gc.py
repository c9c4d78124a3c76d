import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.upkeep import gc_runs
from tests.upkeep.gc_runs import StopError, keys_in, record, sealed, stocked, through

from runstore import ObjectNotFoundError, ObjectStore
from runstore.context import new_run
from runstore.errors import (
    AccessDeniedError,
    InvalidRequestError,
    ObjectExistsError,
    UnreadableWarning,
)
from runstore.places._local import LocalBackend
from runstore.upkeep import _gc_plan


def names(plan):
    """Return the names of the runs that go."""
    return sorted(run.run for run in plan.runs)


def recorded(store, namespace="dev"):
    """Return the names of the runs with a record."""
    return sorted(run.name for run in store.runs(namespace))


def test_the_newest_runs_of_each_workflow_stay(store):
    """`keep_last` counts by workflow, newest first, whatever became of a run."""
    for day in range(4):
        record(store, f"t{day}", day)
        record(store, f"e{day}", day, workflow="eval", state="failed")
    assert ["e0", "e1", "t0", "t1"] == names(store.plan_gc(keep_last=2))
    assert ["t0", "t1"] == names(store.plan_gc(keep_last=2, workflow="train"))
    assert [] == names(store.plan_gc(keep_last=2, namespace="other"))


def test_finished_runs_are_counted_by_themselves(store):
    """Runs that failed do not push out those that have finished."""
    for day, state in enumerate(["finished", "finished", "finished", "failed", "failed"]):
        record(store, f"r{day}", day, state=state)
    assert ["r0", "r3", "r4"] == names(store.plan_gc(keep_finished=2))
    assert ["r0", "r1", "r3"] == names(store.plan_gc(keep_last=1))
    assert ["r0", "r1", "r2", "r3"] == names(store.plan_gc(keep_last=1, keep_finished=0))


def test_each_rule_has_to_let_a_run_go(store):
    """A run stays as long as one of the rules keeps it."""
    for day in range(4):
        record(store, f"r{day}", day)
    age = gc_runs.datetime.now(gc_runs.UTC) - gc_runs.START
    assert ["r0", "r1"] == names(store.plan_gc(older_than=age - timedelta(days=1.5)))
    assert ["r0"] == names(store.plan_gc(older_than=age - timedelta(days=1.5), keep_last=3))
    assert ["r0", "r1", "r2", "r3"] == names(store.plan_gc(older_than="1d", keep_finished=0))
    assert ["r0", "r1", "r2"] == names(store.plan_gc(older_than=86_400))


def test_without_a_rule_no_run_goes(store):
    """A plan of nothing but leftovers touches no run."""
    stocked(store, "r")
    plan = store.plan_gc()
    assert not plan
    assert {"no rule says that it goes": 1} == plan.kept


def test_a_plan_is_data(store):
    """It tells runs, files, bytes and reasons, and nothing is removed by making it."""
    stocked(store, "old", 0)
    stocked(store, "new", 1)
    before = keys_in(store)
    plan = store.plan_gc(keep_last=1)
    told = plan.to_dict()
    keys = {key for key in before if key.startswith("dev/old/")}
    assert keys == set(plan.keys())
    assert len(keys) == plan.objects == told["objects"]
    assert sum(len(before[key]) for key in keys) == plan.bytes == told["bytes"]
    assert {"dev/old": "finished, not one of the newest 1"} == plan.reasons
    assert "1 run and 0 leftovers: 8 files" in str(plan)
    assert before == keys_in(store)


def test_exactly_what_was_planned_is_gone(store):
    """Everything else has the same bytes as before."""
    for day in range(4):
        stocked(store, f"r{day}", day)
    store.at(namespace="dev").put("shared", 1, scope="namespace")
    sealed(store, "r0")
    store.tag("r0", ["gone"], namespace="dev")
    store.tag("r3", ["stays"], namespace="dev")
    before = keys_in(store)
    plan = store.plan_gc(keep_last=2)
    going = set(plan.keys())
    report = plan.apply()
    assert ("dev/r0", "dev/r1") == report.runs
    assert (plan.objects, plan.bytes) == (report.objects, report.bytes)
    gone = going | {"dev/_runs/r0.json", "dev/_runs/r1.json", "dev/_marks/r0/tag-gone.json"}
    assert {key: data for key, data in before.items() if key not in gone} == keys_in(store)
    assert not store.plan_gc(keep_last=2)
    assert ["r2", "r3"] == store.runs_with_objects("dev")


def test_runs_without_a_record_go_by_age_alone(store, monkeypatch):
    """Runs of `run_context` and of orchestrators go only where an age is given."""
    monkeypatch.setattr(_gc_plan, "QUIET", 0.0)
    store.at(namespace="dev", run="notebook").put("x", 1)
    record(store, "r")
    assert [] == names(store.plan_gc(keep_last=0, keep_finished=1))
    assert [] == names(store.plan_gc(older_than="1h"))
    assert [] == names(store.plan_gc(older_than=0, workflow="train"))
    plan = store.plan_gc(older_than=0)
    assert ["notebook"] == names(plan)
    assert "no record, last written" in plan.reasons["dev/notebook"]
    plan.apply()
    assert ["r"] == recorded(store)
    assert [] == store.runs_with_objects("dev")


def test_a_run_that_goes_on_and_what_it_reads_stay(store):
    """Also what its input refers to, in another namespace, too."""
    stocked(store, "old", 0)
    stocked(store, "read", 0, namespace="other", workflow="features")
    stocked(store, "next", 1)
    ref = store.at(namespace="other", run="read").ref("x")
    record(store, "living", 2, state="running", result={"model": [ref]})
    stocked(store, "living-2", 0, state="running")
    plan = store.plan_gc(keep_last=0, keep_finished=0)
    assert ["next", "old"] == names(plan)
    assert 1 == plan.kept["read by dev/living, which goes on"]
    plan.apply()
    assert ["living", "living-2"] == recorded(store)
    assert "read" == store.at(namespace="other").get(ref)


def test_a_pinned_run_stays(store):
    """Until it is unpinned."""
    stocked(store, "old", 0)
    stocked(store, "new", 1)
    store.pin("old", namespace="dev", note="the one of the paper")
    assert {"pinned": 1} == {
        why: n for why, n in store.plan_gc(keep_last=1).kept.items() if why == "pinned"
    }
    assert not store.plan_gc(keep_last=1)
    store.unpin("old", namespace="dev")
    assert ["old"] == names(store.plan_gc(keep_last=1))


def test_what_changes_after_the_plan_stays(store):
    """A run that was pinned, rewritten, read or written to since the plan was made."""
    changed = ["begun", "pinned", "read", "stored"]
    for name in [*changed, "same"]:
        stocked(store, name)
    stocked(store, "newest", 1)
    plan = store.plan_gc(keep_last=1)
    assert sorted([*changed, "same"]) == names(plan)
    store.pin("pinned", namespace="dev")
    record(store, "begun", 2, state="running")
    ref = store.at(namespace="dev", run="read").ref("x")
    record(store, "reader", 3, state="running", result=ref, workflow="other")
    store.at(namespace="dev", run="stored").put("late", 1)
    before = {key: data for key, data in keys_in(store).items() if "/same" not in key}
    report = plan.apply()
    assert ("dev/same",) == report.runs
    assert {f"dev/{name}" for name in changed} == report.skipped.keys()
    assert before == keys_in(store)


def test_a_record_that_cannot_be_read_keeps_its_run(store):
    """What is not known is not removed."""
    stocked(store, "damaged")
    stocked(store, "new", 1)
    store.backend.put("dev/_runs/damaged.json", [b"{"])
    with pytest.warns(UnreadableWarning, match="its run is kept"):
        plan = store.plan_gc(keep_last=1)
    assert not plan
    assert 1 == plan.kept["its record cannot be read"]


def test_records_that_may_not_be_read_keep_all_runs(disk, tmp_path, monkeypatch):
    """Without them every run would look as one that has no record, and go by its age."""
    for namespace in ("dev", "other"):
        disk.at(namespace=namespace, run="notebook").put("x", 1)
    stocked(disk, "r")
    monkeypatch.setattr(_gc_plan, "QUIET", 0.0)
    plan, real = disk.plan_gc(older_than=0), LocalBackend.list

    def denied(self, prefix):
        if prefix.startswith("dev/_runs"):
            raise AccessDeniedError("dev/_runs may not be read", prefix)
        return real(self, prefix)

    monkeypatch.setattr(LocalBackend, "list", denied)
    with pytest.raises(AccessDeniedError):
        disk.plan_gc(older_than=0, namespace="dev")
    with pytest.raises(AccessDeniedError):
        plan.apply()
    with pytest.warns(UnreadableWarning, match="is not known"):
        plan = disk.plan_gc(older_than=0, keep_finished=0)
    assert not plan.runs  # one there may read those of the other namespace
    assert 1 == plan.kept["it may be read by runs of 'dev', whose records may not be read"]


def changes_of(store, **rules):
    """Return how many changes it takes to apply a plan."""
    count = itertools.count()
    through(store, lambda *_: next(count)).plan_gc(**rules).apply()
    return next(count)


def filled(store):
    """Put five runs into a store; the three oldest are to go."""
    for day in range(5):
        stocked(store, f"r{day}", day)
    sealed(store, "r1")
    store.tag("r1", ["x"], namespace="dev")
    return store


RULES = {"keep_last": 2, "orphans": False}


def test_wherever_it_is_interrupted_the_next_one_ends_in_the_same_state(tmp_path):
    """Killed before any of its changes, and started again: the same files are left."""
    rules = {"keep_last": 1, "orphans": False}

    def three_runs(url):
        store = ObjectStore(url)
        for day in range(3):
            record(store, f"r{day}", day)
            sealed(store, f"r{day}")
        store.tag("r1", ["x"], namespace="dev")
        return store

    for position in range(changes_of(three_runs(tmp_path / "first"), **rules)):
        store = three_runs(f"memory://gc-{tmp_path.name}-{position}")
        left = {key for key in keys_in(store) if "r0" not in key and "r1" not in key}
        count = itertools.count()

        def stop(*_, position=position, count=count):
            if next(count) == position:
                raise StopError

        with pytest.raises(StopError):
            through(store, stop).plan_gc(**rules).apply()
        store.plan_gc(**rules).apply()
        clock = {
            "dev/_alive/_now.json"
        }  # by which the time was asked; it stays after the last kill
        assert left == keys_in(store).keys() - clock
        store.close()


def test_a_plan_can_be_applied_again(store):
    """The plan that was interrupted goes on where it was."""
    filled(store)
    count = itertools.count()

    def stop(*_):
        if next(count) == 9:
            raise StopError

    plan = through(store, stop).plan_gc(**RULES)
    with pytest.raises(StopError):
        plan.apply()
    plan.apply()
    assert ["r3", "r4"] == recorded(store) == store.runs_with_objects("dev")


def test_no_reader_takes_half_a_run_for_whole(store):
    """Before every change a run is listed with all it has, or not listed; an object is whole."""
    filled(store)
    whole = {name: len(store.at(namespace="dev", run=name).list()) for name in recorded(store)}
    seen = set()

    def look(*_):
        for name in ("r0", "r1", "r2"):
            view = store.at(namespace="dev", run=name)
            there = name in recorded(store)
            seen.add((name, there))
            if there:
                assert whole[name] == len(view.list())
                assert store.read_run(name, namespace="dev").name == name
            else:
                with pytest.raises(ObjectNotFoundError):
                    store.read_run(name, namespace="dev")
        try:
            assert [0, 1] == list(store.at(namespace="dev", run="r1").get("frame")["n"])
        except ObjectNotFoundError:
            seen.add("gone")

    through(store, look).plan_gc(**RULES).apply()
    assert {"gone", ("r1", True), ("r1", False)} <= seen


def test_who_reads_meanwhile_finds_an_object_or_not_half_of_it(tmp_path):
    """Another thread that reads what goes gets whole values until it is not found."""
    store = ObjectStore(tmp_path / "store")
    for day in range(30):
        record(store, f"r{day:02}", day)
        sealed(store, f"r{day:02}")
    done, wrong = threading.Event(), []

    def read():
        while not done.is_set():
            for day in range(29):
                try:
                    frame = store.at(namespace="dev", run=f"r{day:02}").get("frame")
                    assert [0, 1] == list(frame["n"])
                except ObjectNotFoundError:
                    continue
                except BaseException as exc:  # noqa: BLE001 - shown by the test
                    wrong.append(exc)
                    return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        store.plan_gc(keep_last=1).apply()
    finally:
        done.set()
        reader.join()
    assert [] == wrong
    assert ["r29"] == store.runs_with_objects("dev")


@pytest.mark.parametrize("pinned_before", ["put", "delete"])
def test_a_pin_during_clean_up_keeps_the_run_or_fails(store, pinned_before):
    """Once `pin` has returned, the run stays whole; else it says that the run is gone."""
    filled(store)
    before = keys_in(store)
    outcome = []

    def pin(kind, key):
        if kind == pinned_before and not outcome and key.startswith("dev/"):
            outcome.append("trying")
            try:
                store.pin("r0", namespace="dev")
                outcome.append("pinned")
            except ObjectNotFoundError:
                outcome.append("gone")

    report = through(store, pin).plan_gc(**RULES).apply()
    if pinned_before == "put":  # before the record of the first run is replaced
        assert ["trying", "pinned"] == outcome
        assert {"dev/r0": "it was pinned"} == report.skipped
        kept = {key: data for key, data in before.items() if "/r0" in key and "_runs" not in key}
        assert kept.items() <= keys_in(store).items()
        assert "r0" == store.read_run("r0", namespace="dev").name
        assert not store.plan_gc(**RULES)
    else:
        assert ["trying", "gone"] == outcome
        assert ["r3", "r4"] == recorded(store)
        assert not store.marks("r0", namespace="dev").pinned


def test_a_pin_that_was_before_an_interruption_gives_the_run_back(store):
    """The removal had begun, nothing was deleted, and the pin was there first."""
    filled(store)
    before = {key: data for key, data in keys_in(store).items() if "/r0" in key}
    pins = []

    def pin_and_stop(kind, key):
        if key == "dev/_runs/r0.json" and not pins:
            pins.append(store.pin("r0", namespace="dev"))
        elif key == "dev/_runs/r2.json":
            raise StopError

    with pytest.raises(StopError):
        through(store, pin_and_stop).plan_gc(**RULES).apply()
    assert "r0" not in recorded(store)
    store.plan_gc(**RULES).apply()
    assert ["r0", "r3", "r4"] == recorded(store)
    after = keys_in(store)
    assert all(after[key] == data for key, data in before.items() if "_runs" not in key)
    assert "finished" == store.read_run("r0", namespace="dev").state


def test_no_run_begins_under_a_name_that_is_being_removed(store):
    """Else its first objects would be removed with those of the old run."""
    filled(store)
    tried = []

    def begin(kind, key):
        if kind == "delete" and not tried:
            with pytest.raises(ObjectExistsError):
                store.write_run(new_run("train", namespace="dev", name="r0"), new=True)
            tried.append(key)

    through(store, begin).plan_gc(**RULES).apply()
    assert tried
    store.write_run(new_run("train", namespace="dev", name="r0"), new=True)
    assert "r0" in recorded(store)


def test_a_lost_run_that_goes_on_after_all_is_stopped(store):
    """It does not find its record, and what it put meanwhile is removed, too."""
    runner = {"host": "elsewhere", "space": None, "pid": 1}
    record(store, "lost", 0, state="running", runner=runner)
    store.at(namespace="dev", run="lost").put("x", 1)
    stocked(store, "new", 1)
    plan = store.plan_gc(keep_last=0, keep_finished=1)
    assert not plan  # on another host nobody knows
    stocked(store, "lost", 0, state="failed")

    def put(kind, key):
        if kind == "delete":
            store.at(namespace="dev", run="lost").put("late", 1)

    through(store, put).plan_gc(keep_last=1, orphans=False).apply()
    assert ["new"] == recorded(store)


def test_a_deleted_run_leaves_no_marks(store):
    """`delete_run` removes also a pinned run, with its pin and tags."""
    stocked(store, "r")
    store.pin("r", namespace="dev")
    store.delete_run("r", namespace="dev")
    assert {} == keys_in(store)


def test_rules_are_checked(store):
    """Wrong rules are refused before anything is read."""
    for wrong in ({"keep_last": -1}, {"keep_finished": 1.5}, {"older_than": "30 moons"}):
        with pytest.raises(InvalidRequestError, match="plan_gc"):
            store.plan_gc(**wrong)


# Orphans ------------------------------------------------------------------------------------------


def aged(path, days):
    """Let a file be as old as that."""
    at = time.time() - days * 86_400
    os.utime(path, (at, at))


@pytest.fixture
def disk(tmp_path):
    """Give a store on a disk, whose files can be aged."""
    return ObjectStore(tmp_path / "store")


def parts_of(root, run):
    """Return the part files of a run."""
    return [path for path in (root / "dev" / run / ".parts").rglob("*") if path.is_file()]


def test_files_of_interrupted_writes_go_after_a_day(disk, tmp_path):
    """Younger ones stay, and so do those that somebody has locked."""
    stocked(disk, "r")
    folder = tmp_path / "store" / ".runstore-tmp"
    folder.mkdir(exist_ok=True)
    for name, days in (("old", 2), ("new", 0.5)):
        (folder / name).write_bytes(b"12345")
        aged(folder / name, days)
    plan = disk.plan_gc()
    assert [("temporary", 1, 5)] == [(one.kind, one.objects, one.bytes) for one in plan.orphans]
    assert [] == list(disk.plan_gc(namespace="dev").orphans)
    assert [] == list(disk.plan_gc(orphans=False).orphans)
    report = plan.apply()
    assert (1, 5) == (report.objects, report.bytes)
    assert ["new"] == [path.name for path in folder.iterdir()]


def test_parts_that_no_seal_names_go_after_a_week(disk, tmp_path):
    """Unsealed and superseded ones; not those of a pinned run or of one that goes on."""
    root = tmp_path / "store"
    for name, state in (("done", "finished"), ("pinned", "finished"), ("living", "running")):
        record(disk, name, state=state)
        view = sealed(disk, name)
        view.put("frame", view.get("frame", part=1), part=1)
        view.seal("frame")  # one part is superseded now
        view.put("loop", 1, part="unsealed")
    disk.pin("pinned", namespace="dev")
    assert [] == list(disk.plan_gc().orphans)
    for path in (root / "dev").rglob("*.arrow"):
        aged(path, 8)
    plan = disk.plan_gc()
    assert {"dev/done/frame": 1, "dev/done/loop": 1} == {
        one.ref: one.objects for one in plan.orphans
    }
    before = {name: len(parts_of(root, name)) for name in ("done", "pinned", "living")}
    assert 2 == plan.apply().objects
    after = {name: len(parts_of(root, name)) for name in ("done", "pinned", "living")}
    assert before | {"done": before["done"] - 2} == after
    assert [0, 1] == list(disk.at(namespace="dev", run="done").get("frame")["n"])


def test_marks_of_a_run_that_is_gone_go(disk):
    """As a removal by hand leaves them."""
    stocked(disk, "r")
    disk.tag("r", ["x"], namespace="dev")
    disk.backend.delete_many(list(disk.plan_gc(keep_last=0, keep_finished=0).keys()))
    disk.backend.delete("dev/_runs/r.json")
    plan = disk.plan_gc()
    assert ["marks"] == [one.kind for one in plan.orphans]
    plan.apply()
    assert {} == keys_in(disk)


# Killed -------------------------------------------------------------------------------------------


def killed(folder, changes):
    """Start a clean-up in another process, and kill it after so many changes."""
    program = [sys.executable, gc_runs.__file__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(gc_runs.__file__).parents[2])}
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment)
    for _ in range(changes):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def many_runs(folder):
    """Put twelve runs into a store, and two that stay: one is pinned, one goes on."""
    store = ObjectStore(folder)
    for name in ("pinned", "living"):
        stocked(store, name, 0, state="running" if name == "living" else "finished")
    for day in range(12):
        stocked(store, f"r{day:02}", day)
        sealed(store, f"r{day:02}")
    store.pin("pinned", namespace="dev")
    return store


def places(keys):
    """Return where keys are, without the random names of parts."""
    return sorted(key.rpartition("/")[0] if "/.parts/" in key else key for key in keys)


@pytest.mark.parametrize(
    "kills", [pytest.param(3, marks=pytest.mark.extended), pytest.param(50, marks=pytest.mark.slow)]
)
def test_a_killed_clean_up_goes_on(tmp_path, kills):
    """Killed by the system at any place: the state is always that of one that was not killed.

    Pinned and living runs stay byte for byte, also one that began meanwhile.
    """
    whole = many_runs(tmp_path / "whole")
    total = changes_of(whole, keep_last=2, orphans=False)
    expected = places(keys_in(whole))
    left = []
    for position in range(kills):
        folder = tmp_path / f"store-{position}"
        store = many_runs(folder)
        killed(folder, 1 + position * total // kills)
        left.append(len(keys_in(store)))
        before = keys_in(stocked_while(store))
        store.plan_gc(keep_last=2, orphans=False).apply()
        after = keys_in(store)
        late = {key for key in after if "late" in key}
        assert expected == places(after.keys() - late)
        stays = ("/pinned", "/living", "/late", "/r10", "/r11")
        kept = {key: data for key, data in before.items() if any(one in key for one in stays)}
        assert kept == {key: data for key, data in after.items() if key in kept}
        assert {"late"} == {key.split("/")[1] for key in late} - {"_runs", "_marks"}
    assert len(set(left)) > 1, left


def stocked_while(store):
    """Begin a run while a clean-up is interrupted; it is as old as those that go."""
    stocked(store, "late", 1, state="running")
    return store


def one():
    """A stage."""
    return 1


def test_a_workflow_says_itself_how_long_its_runs_are_kept(store):
    """By the definition of its newest run; a rule of the call counts instead of the same one."""
    from runstore import run_workflow

    def run(name, **retention):
        spec = {"stages": [{"name": "one", "target": one}], "retention": retention or None}
        definition = {"metadata": {"name": "w"}, "spec": spec}
        run_workflow(definition, namespace="dev", run=name, store=store)

    for name in "abcd":
        run(name)
    record(store, "other")
    assert not store.plan_gc()
    run("e", keep_last=3, older_than="0s")
    assert ["a", "b"] == names(store.plan_gc())
    assert ["a", "b", "c"] == names(store.plan_gc(keep_last=2, workflow="w"))
    assert [] == names(store.plan_gc(older_than="1h"))
    run("f", keep_last=2, older_than="30d")
    assert [] == names(store.plan_gc())


def test_a_wrong_retention_is_refused_with_the_workflow():
    """Before anything runs, with the field."""
    from runstore import Workflow
    from runstore.errors import InvalidWorkflowError

    stages = [{"name": "one", "target": one}]
    for wrong in (
        {"keep_last": -1},
        {"older_than": "soon"},
        {"keep_first": 3},
        {"keep_last": True},
    ):
        with pytest.raises(InvalidWorkflowError, match=f"retention.{next(iter(wrong))}"):
            Workflow(metadata={"name": "w"}, spec={"stages": stages, "retention": wrong})


def test_logs_go_with_their_run_or_after_it(disk):
    """Those of a run that somebody has removed by hand are leftovers."""
    from runstore.runs import write_log

    for day, name in enumerate(("old", "removed", "new")):
        stocked(disk, name, day)
        write_log(disk.backend, "dev", name, "train", "said")
    disk.plan_gc(keep_last=2).apply()
    logs = [entry.key for entry in disk.backend.list("dev/_logs/")]
    assert ["dev/_logs/new/train.log", "dev/_logs/removed/train.log"] == logs
    disk.backend.delete_many(
        [key for key in keys_in(disk) if "/removed" in key and "log" not in key]
    )
    plan = disk.plan_gc()
    assert ["logs"] == [one.kind for one in plan.orphans]
    plan.apply()
    assert ["dev/_logs/new/train.log"] == [e.key for e in disk.backend.list("dev/_logs/")]


def test_empty_folders_are_no_leftovers(disk, monkeypatch):
    """Some servers keep the folders of what was removed, and a plan would have them each time."""
    from runstore.runs import write_log

    stocked(disk, "r", 0)
    write_log(disk.backend, "dev", "gone", "train", "said")
    for folder in ("dev/empty", "dev/_logs/empty", "dev/_reads/empty", "dev/_marks/empty"):
        (Path(disk.url.removeprefix("file://")) / folder).mkdir(parents=True)
    monkeypatch.setattr(type(disk.backend), "_holds_anything", lambda *_: True)
    assert "empty/" in disk.backend.folders("dev/_logs/")
    plan = disk.plan_gc(older_than=0)
    assert [("logs", "gone")] == [(one.kind, one.run) for one in plan.orphans]
    assert "empty" not in str(plan)


@pytest.mark.extended
def test_a_bucket_is_cleaned_up_like_a_disk(seaweed_server, monkeypatch):
    """Interrupted once, and started again: exactly what was planned is gone."""
    for name, value in (
        ("AWS_ENDPOINT_URL", seaweed_server.endpoint),
        ("AWS_ACCESS_KEY_ID", seaweed_server.key),
        ("AWS_SECRET_ACCESS_KEY", seaweed_server.secret),
        ("AWS_REGION", seaweed_server.region),
    ):
        monkeypatch.setenv(name, value)
    store = filled(ObjectStore(f"s3://{seaweed_server.new_bucket()}/prefix"))
    store.pin("r0", namespace="dev")
    before = {key: data for key, data in keys_in(store).items() if "_index" not in key}
    count = itertools.count()

    def stop(*_):
        if next(count) == 12:
            raise StopError

    plan = through(store, stop).plan_gc(keep_last=2)
    going = set(plan.keys())
    with pytest.raises(StopError):
        plan.apply()
    assert ["r0", "r3", "r4"] == recorded(store)
    store.plan_gc(keep_last=2).apply()
    gone = going | {"dev/_runs/r1.json", "dev/_runs/r2.json", "dev/_marks/r1/tag-x.json"}
    left = {key: data for key, data in keys_in(store).items() if "_index" not in key}
    assert {key: data for key, data in before.items() if key not in gone} == left
    assert ["r4", "r3"] == [run.name for run in store.runs("dev", limit=2)]


@pytest.mark.extended
def test_a_bucket_that_keeps_folders_has_no_leftovers_of_them(seaweed_server, monkeypatch, capsys):
    """SeaweedFS shows the folders of what was removed for a minute; `gc` has nothing of them."""
    from runstore.cli import main
    from runstore.runs import write_log

    for name, value in (
        ("AWS_ENDPOINT_URL", seaweed_server.endpoint),
        ("AWS_ACCESS_KEY_ID", seaweed_server.key),
        ("AWS_SECRET_ACCESS_KEY", seaweed_server.secret),
        ("AWS_REGION", seaweed_server.region),
    ):
        monkeypatch.setenv(name, value)
    url = f"s3://{seaweed_server.new_bucket()}/prefix"
    store = ObjectStore(url)
    stocked(store, "kept", 0)
    stocked(store, "gone", 1)
    write_log(store.backend, "dev", "gone", "train", "said")
    assert 0 == main(["rm", "-r", "-y", "dev/gone", "--store", url])
    store.at(namespace="dev", run="bare").put("x", 1)
    store.at(namespace="dev", run="bare").delete("x")
    # Or else this test tells nothing.
    assert {"bare", "gone"} <= {*store.runs_with_objects("dev")}
    assert "gone/" in store.backend.folders("dev/_logs/")
    assert () == store.plan_gc().orphans
    capsys.readouterr()
    assert 0 == main(["ls", "dev", "--json", "--store", url])
    shown = json.loads(capsys.readouterr().out)
    assert ["kept"] == [one["name"] for one in shown["runs"]]
