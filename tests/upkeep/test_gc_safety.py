"""What clean-up leaves alone: files of others, and runs that may go on or are read."""

import itertools
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.upkeep.gc_runs import StopError, keys_in, record, sealed, stocked, through

from runstore import ObjectNotFoundError, ObjectStore, object_store, run_context, run_workflow, runs
from runstore.context import new_run
from runstore.errors import (
    AccessDeniedError,
    ObjectExistsError,
    StorageError,
    UnreadableWarning,
)
from runstore.keys import alive_key, record_key
from runstore.places import Wrapper
from runstore.places._local import LocalBackend
from runstore.runs import _alive
from runstore.upkeep import _gc_apply

ELSEWHERE = {"host": "elsewhere", "space": None, "pid": 1, "renews": 5.0}
DAY = 86_400


@pytest.fixture
def disk(tmp_path):
    """Give a store on a disk, whose files can be aged."""
    return ObjectStore(tmp_path / "store")


def aged(store, days, *keys):
    """Let files be as old as that; by default all."""
    root = store.url.removeprefix("file://")
    at = time.time() - days * DAY
    for key in keys or keys_in(store):
        os.utime(Path(root, key), (at, at))


def names(plan):
    """Return the names of the runs that go."""
    return sorted(run.run for run in plan.runs)


def test_files_of_other_programs_stay(disk, tmp_path):
    """A folder in a folder looks like a run; it goes only if runstore wrote every file of it."""
    photos = tmp_path / "store" / "photos" / "2020"
    photos.mkdir(parents=True)
    (photos / "pic.jpg").write_bytes(b"jpeg")
    (photos / "table.arrow").write_bytes(b"ARROW1 of somebody else")
    mixed = disk.at(namespace="photos", run="2021")
    mixed.put("x", 1)
    (tmp_path / "store" / "photos" / "2021" / "pic.jpg").write_bytes(b"jpeg")
    ours = disk.at(namespace="photos", run="2022")
    ours.put("deep/x", 1)
    ours.put("y" * 300, 1)
    for part in range(2):
        ours.put("parts", [part], part=part)
    aged(disk, 40)
    plan = disk.plan_gc(older_than="30d")
    assert ["2022"] == names(plan)
    assert 2 == plan.kept["no record, and some of its files may be those of other programs"]
    plan.apply()
    assert b"jpeg" == (photos / "pic.jpg").read_bytes()
    assert 1 == mixed.get("x")
    assert ["2020", "2021"] == disk.runs_with_objects("photos")


def test_a_copied_object_does_not_make_a_folder_a_run(disk, tmp_path):
    """It says of which run it is, and that is another one."""
    disk.at(namespace="dev", run="r").put("x", 1)
    folder = tmp_path / "store" / "backup" / "2020"
    folder.mkdir(parents=True)
    (folder / "x.arrow").write_bytes((tmp_path / "store/dev/r/x.arrow").read_bytes())
    aged(disk, 40)
    assert {"dev/r"} == set(disk.plan_gc(older_than="30d").reasons)


def test_what_was_written_within_a_day_stays_without_a_record(disk):
    """Whatever age is asked for: nothing says whether a run in a notebook goes on."""
    disk.at(namespace="dev", run="notebook").put("x", 1)
    plan = disk.plan_gc(older_than=0)
    assert not plan.runs
    assert {"no record, and it was written to within a day": 1} == plan.kept
    aged(disk, 2)
    assert ["notebook"] == names(disk.plan_gc(older_than=0))


def lost(store, name="lost"):
    """Write a run that is lost, with an object, whose last sign of life is of now."""
    runner = {"host": os.uname().nodename, "space": None, "pid": 1, "renews": 5.0}
    run = record(store, name, state="running", runner=runner | {"host": "elsewhere"})
    _alive.begin_beats(store.backend, run)
    store.at(namespace="dev", run=name).put("x", 1)
    return run


@pytest.mark.parametrize("sign", ["record", "beat", "object", None])
def test_a_lost_run_stays_for_a_day_after_its_last_sign(disk, monkeypatch, sign):
    """It began long ago; its record, its renewal or an object may be of today."""
    lost(disk)
    stocked(disk, "new", 1)
    keys = {
        "record": record_key("dev", "lost"),
        "beat": alive_key("dev", "lost"),
        "object": "dev/lost/x.arrow",
    }
    aged(disk, 2, *(key for kind, key in keys.items() if kind != sign))
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    plan = disk.plan_gc(keep_last=1)
    assert (["lost"] if sign is None else []) == names(plan)
    if sign is not None:
        assert 1 == plan.kept["lost, and it gave a sign of life within a day"]
        assert not disk.plan_gc(older_than="1h", orphans=False, workflow="train").runs
    assert [] == names(disk.plan_gc(older_than="3d", orphans=False))


def test_a_run_that_has_just_begun_is_not_lost(disk, monkeypatch):
    """Its record is there, and its first renewal not yet, for longer than a moment."""
    monkeypatch.setattr(_alive, "_MOMENT", 0.0)
    record(disk, "young", state="running", runner=ELSEWHERE)
    assert "running" == disk.read_run("young", namespace="dev").state
    stocked(disk, "new", 1)
    assert not disk.plan_gc(keep_last=0).runs


# Removals -----------------------------------------------------------------------------------------

RULES = {"keep_last": 1, "orphans": False}


def two_runs(store):
    """Write a run that goes and one that stays."""
    stocked(store, "old")
    stocked(store, "new", 1)
    return store


def stopped_at(store, kind, beginning):
    """Apply a plan that is killed before a change of such a kind."""

    def stop(what, key):
        if what == kind and key.startswith(beginning):
            raise StopError

    with pytest.raises(StopError):
        through(store, stop).plan_gc(**RULES).apply()


def test_a_pinned_run_comes_back_also_if_something_was_put_meanwhile(store):
    """The removal had begun, and nothing was deleted: the notice says so."""
    two_runs(store)
    removal = runs.removal_of

    def pin_and_stop(kind, key):
        if key == "dev/_runs/old.json":
            if removal(store.backend, "dev", "old") is not None:
                raise StopError
            store.pin("old", namespace="dev")

    with pytest.raises(StopError):
        through(store, pin_and_stop).plan_gc(**RULES).apply()
    store.at(namespace="dev", run="old").put("more", 1)
    report = store.plan_gc(**RULES).apply()
    assert {"dev/old": "it was pinned"} == report.skipped
    assert "finished" == store.read_run("old", namespace="dev").state
    assert "old" == store.at(namespace="dev", run="old").get("x")


def test_a_run_of_which_nothing_is_deleted_comes_back_when_it_changes(store):
    """It is judged again by the next plan."""
    two_runs(store)
    stopped_at(store, "delete", "dev/old/")
    # Here the deletion had begun: it is ended, whatever was pinned or put.
    store.backend.put("dev/_marks/old/pin.json", [b'{"text": ""}'])
    assert ("dev/old",) == store.plan_gc(**RULES).apply().runs
    stocked(store, "old")
    plan = store.plan_gc(**RULES)
    held = runs.begin_removal(
        store.backend, "dev", plan.runs[0]._look, "why", plan.runs[0]._seen, time.time()
    )
    assert held is not None
    store.at(namespace="dev", run="old").put("more", 1)
    report = plan.apply()
    assert {"dev/old": "something was stored or deleted in it since the plan"} == report.skipped
    assert "finished" == store.read_run("old", namespace="dev").state


def test_only_one_clean_up_has_a_removal_in_hand(store):
    """Another one takes it over by writing its name; the first can do no more."""
    two_runs(store)
    planned = store.plan_gc(**RULES).runs[0]
    backend, seen = store.backend, planned._seen
    first = runs.begin_removal(backend, "dev", planned._look, "why", seen, 1.0)
    second = runs.take_over(backend, "dev", "old")
    assert not runs.is_held(backend, first)
    assert not runs.restore(backend, first)
    assert runs.begin_deleting(backend, first) is None
    deleting = runs.begin_deleting(backend, second)
    assert deleting.removal.deleting
    assert (planned.reason and "why", 1.0) == (deleting.removal.reason, deleting.removal.removed_at)


def test_two_clean_ups_and_a_pin_leave_a_whole_run_or_none(store):
    """At every change of the first, a second one is applied after a pin was tried."""
    for position in range(12):
        two_runs(store)
        whole = {key for key in keys_in(store) if key.startswith("dev/old/")}
        count, pins = itertools.count(), []

        def second(kind, key, position=position, count=count, pins=pins):
            if next(count) != position:
                return
            try:
                store.pin("old", namespace="dev")
                pins.append(key)
            except ObjectNotFoundError:
                pass
            store.plan_gc(**RULES).apply()

        through(store, second).plan_gc(**RULES).apply()
        store.plan_gc(**RULES).apply()
        there = "old" in [run.name for run in store.runs("dev")]
        left = {key for key in keys_in(store) if key.startswith("dev/old/")}
        assert left == (whole if there else set()), position
        assert not pins or there, position
        store.unpin("old", namespace="dev")


def test_what_is_put_into_a_run_while_it_goes_stays(disk):
    """New objects and new versions; what they need is not removed under them."""
    two_runs(disk)
    view = sealed(disk, "old")
    count = itertools.count()

    def put(kind, key):  # the second notice says that deletion begins: the listing comes after it
        if key == "dev/_runs/old.json" and next(count) == 1:
            view.put("late", 1)
            view.put("x", "again")

    report = through(disk, put).plan_gc(**RULES).apply()
    assert () == report.runs
    assert "2 files were put into it" in report.skipped["dev/old"]
    assert (1, "again") == (view.get("late"), view.get("x"))
    assert ["late", "x"] == [info.name for info in view.list()]


def test_a_removal_that_goes_on_leaves_what_was_put_after_it_began(disk):
    """By the clock of the place."""
    two_runs(disk)
    stopped_at(disk, "delete", "dev/old/")
    view = disk.at(namespace="dev", run="old")
    time.sleep(0.05)
    view.put("late", 1)
    report = disk.plan_gc(**RULES).apply()
    assert ["dev/old"] == [*report.skipped]
    assert "put into it while it was removed" in report.skipped["dev/old"]
    assert 1 == view.get("late")
    assert ["late"] == [info.name for info in view.list()]
    with pytest.raises(ObjectNotFoundError):
        disk.read_run("old", namespace="dev")


class Refusing(Wrapper):
    """A place that refuses to delete one file."""

    def __init__(self, backend, name):
        super().__init__(backend)
        self.name = name

    def delete_many(self, keys, *, missing_ok=False):
        keys = list(keys)
        refused = [key for key in keys if key.endswith(self.name)]
        errors = self._backend.delete_many(
            [key for key in keys if key not in refused], missing_ok=missing_ok
        )
        return errors | {key: AccessDeniedError(f"{key}: no", key) for key in refused}


def test_a_seal_that_may_not_be_deleted_keeps_its_parts(store):
    """Who reads the object goes on to find all of it; the failure is told."""
    two_runs(store)
    view, backend = sealed(store, "old"), store._objects.backend
    store._objects.backend = Refusing(backend, "old/frame.arrow")
    report = store.plan_gc(**RULES).apply()
    assert () == report.runs
    assert "not all of it could be removed" in report.failed["dev/old"]
    store._objects.backend = backend
    assert [0, 1] == list(view.get("frame")["n"])
    assert ("dev/old",) == store.plan_gc(**RULES).apply().runs
    assert not [key for key in keys_in(store) if "/old" in key]


def test_the_latest_run_is_never_one_that_is_gone(store):
    """Also when the clean-up is killed, and when the newest run was killed at its end."""
    from runstore.runs import move_latest

    stocked(store, "stays", 1)
    old = stocked(store, "old", 2)
    move_latest(store.backend, old)
    store.pin("stays", namespace="dev")
    rules = {"keep_last": 0, "keep_finished": 0, "orphans": False}

    def stop(kind, key):
        if kind == "delete" and key.startswith("dev/old/"):
            raise StopError

    with pytest.raises(StopError):
        through(store, stop).plan_gc(**rules).apply()
    assert "stays" == store.at(namespace="dev").get("x", workflow="train")
    stocked(store, "newer", 3)  # nobody has said that it is the latest
    stocked(store, "failed", 4, state="failed")
    store.plan_gc(keep_last=0, orphans=False).apply()
    assert "newer" == store.at(namespace="dev").get("x", workflow="train")


def test_a_run_stays_that_is_read_since_the_group_before(disk, monkeypatch):
    """The runs are looked at again before each group."""
    monkeypatch.setattr(_gc_apply, "_RUNS_AT_ONCE", 1)
    for day in range(3):
        stocked(disk, f"r{day}", day)
    ref = disk.at(namespace="dev", run="r1").ref("x")

    def begin(kind, key):
        if kind == "delete" and key == "dev/_runs/r0.json":
            record(disk, "reader", 9, state="running", result=ref, workflow="other")

    report = through(disk, begin).plan_gc(**RULES).apply()
    assert ("dev/r0",) == report.runs
    assert {"dev/r1": "read by dev/reader, which goes on"} == report.skipped


def test_the_run_of_the_code_that_cleans_up_stays(disk):
    """A notebook removes neither its own run nor one around it."""
    with run_context(namespace="dev", run="outer", store=disk):
        object_store.put("x", 1)
        with run_context(namespace="dev", run="inner"):
            object_store.put("x", 1)
            aged(disk, 40)
            plan = disk.plan_gc(older_than="30d")
            assert {"it is the run of this code": 2} == plan.kept
    plan = disk.plan_gc(older_than="30d")
    assert ["inner", "outer"] == names(plan)
    with run_context(namespace="dev", run="inner", store=disk):
        report = plan.apply()
    assert ("dev/outer",) == report.runs
    assert {"dev/inner": "it is the run of this code"} == report.skipped


@pytest.mark.parametrize("apart", [-3600, 3600])
def test_nothing_goes_where_the_clock_is_wrong(disk, monkeypatch, apart):
    """By minutes: ages are told by the clocks of this host and of the place."""
    two_runs(disk)
    plan, real = disk.plan_gc(**RULES), time.time
    before = keys_in(disk)
    monkeypatch.setattr(_gc_apply.time, "time", lambda: real() + apart)
    with pytest.raises(StorageError, match=r"60 minutes (ahead of|behind)"):
        plan.apply()
    monkeypatch.undo()
    assert before == keys_in(disk)


class Bare(Wrapper):
    """A place without versions and without conditions, behind a plain wrapper."""

    @property
    def guarantees(self):
        return replace(
            self._backend.guarantees, create=False, compare_and_swap=False, versions="none"
        )

    def probe(self):
        return self.guarantees

    def put(self, key, buffers, *, if_absent=False, if_match=None):
        assert not if_absent
        assert if_match is None
        return self._backend.put(key, buffers)._replace(version=None)

    def get(self, key, **how):
        data, entry = self._backend.get(key, **how)
        return data, entry._replace(version=None)

    def list(self, prefix):
        return (entry._replace(version=None) for entry in self._backend.list(prefix))


def test_runs_go_and_come_back_where_a_place_has_no_versions(store):
    """What is told by versions elsewhere is told by what the record says."""
    two_runs(store)
    stocked(store, "changed")
    store._objects.backend = Bare(store.backend)
    plan = store.plan_gc(**RULES)
    assert ["changed", "old"] == names(plan)
    record(store, "changed", 0, state="failed")
    report = plan.apply()
    assert ("dev/old",) == report.runs
    assert {"dev/changed": "its record was changed since the plan"} == report.skipped
    planned = store.plan_gc(**RULES).runs[0]
    held = runs.begin_removal(store.backend, "dev", planned._look, "why", planned._seen, 1.0)
    assert runs.restore(store.backend, held)
    assert "failed" == store.read_run("changed", namespace="dev").state


# Readers ------------------------------------------------------------------------------------------


def going_when_read_by(store, record_it):
    """Return which runs go while one refers to a run with a name beyond ASCII."""
    for day, name in enumerate(("mod\u00e8le-\u00fc", "unread", "newest")):
        stocked(store, name, day, namespace="daten-\u00e4")
    record_it(store.at(namespace="daten-\u00e4", run="mod\u00e8le-\u00fc").ref("x"))
    return names(store.plan_gc(keep_last=1))


def test_names_that_json_escapes_are_seen(store):
    """A reference is looked for in the texts of the record, not in its bytes."""

    def record_it(ref):
        record(store, "reader", state="running", result={"model": [ref]}, workflow="other")

    assert ["unread"] == going_when_read_by(store, record_it)


@pytest.mark.parametrize("damage", ["cut", "digest"])
def test_what_a_damaged_record_names_stays(store, damage):
    """Nobody knows whether its run goes on."""

    def record_it(ref):
        record(store, "reader", state="running", result={"model": [ref]}, workflow="other")
        key = "dev/_runs/reader.json"
        data = bytes(store.backend.get(key)[0])
        cut = data.rindex(b"@") if damage == "cut" else len(data)
        store.backend.put(key, [data[:cut].replace(b"manual", b"damage")])

    with pytest.warns(UnreadableWarning, match="its run is kept"):
        assert ["unread"] == going_when_read_by(store, record_it)


def test_a_lost_run_reads_for_a_day(disk, monkeypatch):
    """It may go on after all."""

    def record_it(ref):
        record(disk, "reader", state="running", result=[ref], workflow="o", runner=ELSEWHERE)

    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    assert ["unread"] == going_when_read_by(disk, record_it)
    aged(disk, 2, record_key("dev", "reader"))
    assert ["mod\u00e8le-\u00fc", "unread"] == names(disk.plan_gc(keep_last=1, workflow="train"))


def test_what_a_stage_reads_right_now_stays(disk):
    """Before any record tells of it, and also beyond the objects that a record names."""
    for day, name in enumerate(("read", "shared", "unread", "newest")):
        stocked(disk, name, day, namespace="other")
    seen = []

    def stage():
        object_store.get("x", run="read", namespace="other")
        seen.append(names(disk.plan_gc(keep_last=1, workflow="train")))

    stages = [{"name": "one", "target": stage}]
    flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    run_workflow(flow, namespace="dev", run="reader", store=disk)
    assert [["shared", "unread"]] == seen
    assert ["read", "shared", "unread"] == names(disk.plan_gc(keep_last=1, workflow="train"))
    disk.delete_run("reader", namespace="dev")
    assert not [key for key in keys_in(disk) if key.startswith("dev/")]


def test_a_stage_that_reads_much_notes_each_run_once(disk):
    """One request more for each run that it reads, not for each object."""
    view = disk.at(namespace="other", run="read")
    view.put_many({f"x{n}": n for n in range(5)})
    noted = []

    def stage():
        for n in range(5):
            object_store.get(f"x{n}", run="read", namespace="other")
        object_store.put("own", 1)
        object_store.get("own")

    with pytest.MonkeyPatch.context() as patch:
        real = LocalBackend.put

        def put(self, key, *args, **how):
            if "_reads/" in key:
                noted.append(key)
            return real(self, key, *args, **how)

        patch.setattr(LocalBackend, "put", put)
        stages = [{"name": "one", "target": stage}]
        flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
        run_workflow(flow, namespace="dev", run="reader", store=disk)
    assert ["dev/_reads/reader/other/read.json"] == noted


def test_what_a_long_input_refers_to_stays(disk):
    """Also where the record keeps no more than that the input was long."""
    for day, name in enumerate(("read", "unread", "newest")):
        stocked(disk, name, day, namespace="other")
    ref, seen = disk.at(namespace="other", run="read").ref("x"), []

    def stage():
        seen.append(names(disk.plan_gc(keep_last=1, workflow="train")))

    stages = [{"name": "one", "target": stage}]
    flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    run_workflow(flow, {"rows": ["x" * 100_000, [{"model": ref}]]}, namespace="dev", store=disk)
    assert [["unread"]] == seen


# The rest -----------------------------------------------------------------------------------------


def test_the_definition_of_one_run_does_not_let_the_last_finished_run_go(store):
    """Only a call does; and the plan says by which run's definition the others go."""
    definition = {"spec": {"retention": {"keep_last": 0, "keep_finished": 0}}}
    for day in range(2):
        record(store, f"r{day}", day)
    record(store, "newest", 2, state="failed", definition=definition)
    plan = store.plan_gc()
    assert ["newest", "r0"] == names(plan)
    assert plan.reasons["dev/r0"].endswith("; by the definition of run 'newest'")
    plan = store.plan_gc(keep_last=0, keep_finished=0)
    assert ["newest", "r0", "r1"] == names(plan)
    assert "finished" == plan.reasons["dev/r1"]


def test_a_new_run_is_told_that_the_old_one_is_being_removed(store):
    """Not that there is one, which nobody finds."""
    two_runs(store)
    stopped_at(store, "delete", "dev/old/")
    with pytest.raises(ObjectExistsError, match="is being removed"):
        store.write_run(new_run("train", namespace="dev", name="old"), new=True)
    with pytest.raises(ObjectExistsError, match="there is a run"):
        store.write_run(new_run("train", namespace="dev", name="new"), new=True)


def test_shared_parts_stay_while_a_run_goes_on_that_may_seal_them(disk):
    """One of their namespace that began before they were put, however old they are."""
    view = disk.at(namespace="dev", run="living")
    record(disk, "living", state="running")
    view.put("loop", 1, part=0, scope="namespace")
    aged(disk, 8)
    assert not disk.plan_gc().orphans
    stocked(disk, "living")  # it has ended
    plan = disk.plan_gc()
    assert ["parts"] == [one.kind for one in plan.orphans]
    record(disk, "living", state="running")
    plan.apply()
    assert 1 == len([key for key in keys_in(disk) if key.startswith("dev/_shared/.parts/")])
    stocked(disk, "living")
    plan.apply()
    assert not [key for key in keys_in(disk) if key.startswith("dev/_shared/.parts/")]


def test_pins_of_runs_that_are_gone_go(disk):
    """As a removal by hand leaves them."""
    stocked(disk, "r")
    disk.pin("r", namespace="dev")
    disk.backend.delete_many([key for key in keys_in(disk) if not key.startswith("dev/_marks")])
    plan = disk.plan_gc()
    assert ["marks"] == [one.kind for one in plan.orphans]
    plan.apply()
    assert not disk.plan_gc().orphans
    assert {} == keys_in(disk)


def test_a_wrapper_that_hides_files_hides_them_from_clean_up(store):
    """What it changes in `list` counts for parts, too."""

    class Hiding(Wrapper):
        def list(self, prefix):
            return (entry for entry in self._backend.list(prefix) if "old" not in entry.key)

    two_runs(store)
    sealed(store, "old")
    store._objects.backend = Hiding(store.backend)
    plan = store.plan_gc(keep_last=0, keep_finished=0)
    assert ["new"] == names(plan)
    assert 8 == plan.objects


def test_a_run_without_a_record_stays_where_a_place_cannot_create_exclusively(disk):
    """Its removal could not be told from the record of a run that begins."""
    disk.at(namespace="dev", run="notebook").put("x", 1)
    aged(disk, 40)
    disk._objects.backend = Bare(disk.backend)
    assert not disk.plan_gc(older_than="30d").runs


def test_a_damaged_record_is_warned_of_once(store):
    """Not again for each hundred runs that go."""
    two_runs(store)
    stocked(store, "damaged")
    store.backend.put("dev/_runs/damaged.json", [b"{"])
    with pytest.warns(UnreadableWarning, match="its run is kept"):
        plan = store.plan_gc(**RULES)
    assert ("dev/old",) == plan.apply().runs  # warnings are errors here


class Timeless(Wrapper):
    """A place that does not say when a file was written."""

    def list(self, prefix):
        return (entry._replace(modified=NEVER) for entry in self._backend.list(prefix))

    def head(self, key):
        return self._backend.head(key)._replace(modified=NEVER)


NEVER = datetime.fromtimestamp(0, UTC)


def test_where_a_place_tells_no_time_nothing_goes_by_its_age(disk):
    """Runs with a record go nevertheless: that says when they ended."""
    two_runs(disk)
    disk.at(namespace="dev", run="notebook").put("x", 1)
    disk.at(namespace="dev", run="new").put("loop", 1, part="unsealed")
    disk._objects.backend = Timeless(disk.backend)
    plan = disk.plan_gc(older_than="1d")
    assert ["old"] == names(plan)
    assert not plan.orphans
    assert 1 == plan.kept["no record, and the place does not say when it was written to"]
    assert ("dev/old",) == plan.apply().runs


def test_the_latest_run_can_be_read_at_every_moment(store):
    """Before every change what is named is a run that is there, and at the end the newest."""
    for day, name in enumerate(("first", "stays", "goes", "pinned", "last")):
        run = stocked(store, name, day)
        runs.move_latest(store.backend, run)
    store.pin("stays", namespace="dev")
    seen = set()

    def look(kind, key):
        if kind == "put" and key == "dev/_runs/pinned.json" and "pinned" not in seen:
            store.pin("pinned", namespace="dev")
            seen.add("pinned")
        name = runs.latest_named(store.backend, "dev", "train")
        assert name == store.read_run(name, namespace="dev").name
        seen.add(f"latest {name}")

    report = through(store, look).plan_gc(keep_last=0, keep_finished=0, orphans=False).apply()
    assert ("dev/first", "dev/goes", "dev/last") == report.runs
    assert {"latest last", "latest stays", "pinned"} <= seen
    assert "pinned" == runs.latest_named(store.backend, "dev", "train")
