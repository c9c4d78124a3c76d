"""Whether a context may still write: leases, in this process and across others."""

import gc
import os
import pickle
import resource
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runstore import bind, object_store, run_context
from runstore.context import (
    Lease,
    WorkflowRunContext,
    attempt_key,
    get_run_context,
    revoke,
)
from runstore.errors import StaleRunError
from runstore.signs import Watch


@pytest.fixture
def run():
    """Make the lease of a run, which ends with the test."""
    key = os.urandom(8).hex()
    yield Lease(key, "run 'ns/r'")
    revoke([key], "the test is over")


def attempt(run, number=1):
    """Make the lease of an attempt of the run's only stage."""
    return Lease(f"{run.key}/{number}", f"attempt {number} of stage 's' of run 'ns/r'", run)


@pytest.fixture
def leased(run, tmp_path):
    """Make the context of an attempt."""
    with run_context(namespace="ns", run="r", store=tmp_path / "store") as ctx:
        return ctx.at_stage("s").leased(attempt(run))


def test_a_revoked_lease_names_attempt_and_reason(run):
    """The error says whose lease it was, why it is over, and what to do."""
    lease = attempt(run)
    lease.check()
    lease.revoke("it failed and was given up")
    with pytest.raises(StaleRunError, match=r"attempt 1 of stage 's' of run 'ns/r' can no longer"):
        lease.check()
    with pytest.raises(StaleRunError, match=r"it failed and was given up\. .*ObjectStore\(…\)\.at"):
        lease.check()


def test_attempts_end_with_their_run_and_not_with_each_other(run):
    """Revoking an attempt leaves the next one alone; revoking the run ends both."""
    first, second = attempt(run, 1), attempt(run, 2)
    first.revoke("it failed")
    assert ("it failed", None) == (first.revoked, second.revoked)
    run.revoke("its run has ended")
    assert "its run has ended" == second.revoked


def test_a_sign_that_cannot_be_read_refuses_to_write(run, tmp_path):
    """Whether the run goes on is unknown then: the error is ours, and says so."""
    lease = attempt(run)
    (tmp_path / f"{os.getpid()}-sign").mkdir()
    run._watch = Watch(str(tmp_path / f"{os.getpid()}-sign"))
    with pytest.raises(StaleRunError, match=r"whether its run goes on cannot be read \(.*Errno"):
        lease.check()


def test_no_two_attempts_have_one_key():
    """Also if a stage is called like an item of another."""
    keys = [
        attempt_key("u", stage, number, index)
        for stage in ("a", "a[1]", "a/1", "'a'", "a'[1]/1")
        for number in (1, 11)
        for index in (None, 1, 11)
    ]
    assert len(keys) == len(set(keys))


def test_the_first_reason_stays(run):
    """A lease that is revoked twice says why it was the first time."""
    run.revoke("it was deleted")
    run.revoke("its run has ended")
    assert "it was deleted" == run.revoked


def test_a_lease_that_comes_back_is_the_same(run):
    """Pickled and unpickled in its process, a lease is the very same, revoked or not."""
    lease = attempt(run)
    assert lease is pickle.loads(pickle.dumps(lease))
    lease.revoke("it failed")
    assert "it failed" == pickle.loads(pickle.dumps(lease)).revoked


def test_a_lease_that_comes_back_too_late_is_over(run):
    """Once nothing here refers to a run any more, what was pickled of it is refused."""
    key, pickled = run.key, pickle.dumps(attempt(run))
    del run
    gc.collect()
    # the fixture's own reference is gone with its last user, so look by another key
    other = pickled.replace(key.encode(), os.urandom(8).hex().encode())
    assert "its run has ended" == pickle.loads(other).revoked


def test_a_revoked_attempt_is_remembered(run):
    """A pickled attempt that was given up stays so although nothing refers to it meanwhile."""
    pickled = pickle.dumps(attempt(run))
    revoke([f"{run.key}/1"], "unknown by now: nobody refers to it")
    lease = pickle.loads(pickled)
    assert lease.revoked is None
    lease.revoke("it failed")
    del lease
    gc.collect()
    assert "it failed" == pickle.loads(pickled).revoked


def test_unknown_leases_do_not_pile_up(run):
    """Leases are kept as long as something refers to them, and no longer."""
    from runstore.context._lease import _known

    gc.collect()
    before = len(_known.leases)
    kept = [attempt(run, number) for number in range(500)]
    assert before + 500 == len(_known.leases)
    del kept
    gc.collect()
    assert before == len(_known.leases)


def test_revoked_leases_are_bounded(run):
    """Of revoked leases the last thousand are remembered."""
    from runstore.context._lease import _known

    for number in range(3000):
        attempt(run, number).revoke("it failed")
    gc.collect()
    assert 1024 == len(_known._revoked)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_leases_of_its_own(run):
    """In a child the lock is free, and what is revoked there says nothing about the parent."""
    from runstore.context._lease import _known

    lease = attempt(run)
    with _known.lock:
        pid = os.fork()
        if pid == 0:
            revoke([lease.key], "in the child")
            os._exit(7 if pickle.loads(pickle.dumps(lease)).revoked == "in the child" else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert 7 == code
    assert lease.revoked is None


VERBS = [
    lambda: object_store.put("x", 2),
    lambda: object_store.put("x", 2, scope="namespace"),
    lambda: object_store.put("x.txt", "two"),
    lambda: object_store.put("x.parquet", None),
    lambda: object_store.put_many({"x": 2}),
    lambda: object_store.delete("x"),
    lambda: object_store.delete("nothing", missing_ok=True),
    lambda: object_store.delete_many(["x"]),
    lambda: object_store.copy("x", to_name="y"),
    lambda: object_store.copy("x", to_scope="namespace"),
]


@pytest.mark.parametrize("verb", range(len(VERBS)))
def test_no_verb_writes_under_a_revoked_lease(verb, leased):
    """Whatever would change something is refused; reads go on."""
    write = bind(VERBS[verb], leased)
    bind(object_store.put, leased)("x", 1)
    leased.lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        write()
    assert 1 == bind(object_store.get, leased)("x")
    assert ["x"] == [info.name for info in bind(object_store.list, leased)()]
    assert [] == bind(object_store.list, leased)(scope="namespace")


def test_a_view_is_no_way_round(leased):
    """Code in a context that is over cannot write through a store or view of its own either."""
    from runstore import ObjectStore

    view = ObjectStore.from_address(leased.store).at(namespace="ns", run="other")
    leased.lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        bind(view.put, leased)("x", 1)
    view.put("x", 2)  # outside of it, on purpose
    assert 2 == view.get("x")


def test_a_view_that_an_attempt_has_left_is_over_too(leased):
    """A view made in a stage is refused with it, also in a thread that has no context."""
    from runstore import ObjectStore

    make = bind(ObjectStore.from_address(leased.store).at, leased)
    left = make(namespace="ns", run="r")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(left.put, "x", 1).result()
        leased.lease.revoke("it failed")
        with pytest.raises(StaleRunError):
            pool.submit(left.put, "x", 2).result()
        with pytest.raises(StaleRunError):
            pool.submit(left.delete, "x").result()
        assert 1 == pool.submit(left.get, "x").result()


def test_a_view_kept_for_several_runs_writes_in_each(leased, run):
    """A view that one attempt has made and another uses is the other's to write with."""
    from runstore import ObjectStore

    left = bind(ObjectStore.from_address(leased.store).at, leased)(namespace="ns", run="r")
    other = leased.leased(attempt(run, 2))
    leased.lease.revoke("it failed")
    bind(left.put, other)("x", 1)
    assert 1 == left.get("x")


def test_a_pickled_view_is_over_with_its_attempt(leased):
    """A view that a stage has made and that crosses by pickle can write as long as the attempt."""
    from runstore import ObjectStore

    view = bind(ObjectStore.from_address(leased.store).at, leased)(namespace="ns", run="r")
    arrived = pickle.loads(pickle.dumps(view))
    arrived.put("x", 1)
    leased.lease.revoke("it failed")
    for late in (arrived, pickle.loads(pickle.dumps(view))):
        with pytest.raises(StaleRunError):
            late.put("x", 2)
    by_hand = ObjectStore.from_address(leased.store).at(namespace="ns", run="r")
    pickle.loads(pickle.dumps(by_hand)).put("x", 3)
    assert 3 == view.get("x")


@pytest.mark.parametrize("fault", ["no descriptor", "no folder"])
def test_a_sign_that_cannot_be_written_stops_other_processes(run, fault):
    """Revoking never fails: where it cannot be recorded, the other processes are refused all."""
    lease, other = attempt(run), attempt(run, 2)
    pickle.dumps(lease)
    path = run._sign.path
    watch = Watch(path)
    assert not watch.is_over(other.key)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    try:
        if fault == "no folder":
            shutil.rmtree(Path(path).parent)
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        lease.revoke("it failed")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watch.is_over(other.key)
    assert ("it failed", None) == (lease.revoked, other.revoked)
    with_sign = Lease(os.urandom(8).hex(), "a later run")
    pickle.dumps(with_sign)
    assert with_sign._sign is not None
    with_sign.revoke("the test is over")


@pytest.mark.parametrize("way", ["python", "json"])
def test_a_context_that_was_dumped_finds_its_lease(way, tmp_path):
    """Validated again in its process, a context may write as long as its attempt may."""
    with run_context(namespace="ns", run="r", store=tmp_path / "store") as ctx:
        whole = Lease(ctx.run.uid, "run 'ns/r'")
        first, second = (
            ctx.at_stage("s", number, 3).leased(
                Lease(attempt_key(ctx.run.uid, "s", number, 3), f"attempt {number}", whole)
            )
            for number in (1, 2)
        )

    def again(context):
        if way == "json":
            return WorkflowRunContext.model_validate_json(context.model_dump_json())
        return WorkflowRunContext.model_validate(context.model_dump())

    first.lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        bind(object_store.put, again(first))("x", 1)
    bind(object_store.put, again(second))("x", 2)
    other = again(ctx.at_stage("other"))  # its attempt is forgotten, its run is not
    bind(object_store.put, other)("y", 2)
    whole.revoke("its run has ended")
    for late in (again(second), other):
        with pytest.raises(StaleRunError):
            bind(object_store.put, late)("x", 3)


def test_a_run_entered_by_hand_with_the_record_of_one_that_is_over(tmp_path):
    """Whoever enters a run by its record outside of it writes on purpose."""
    with run_context(store=tmp_path / "store") as ctx:
        whole = Lease(ctx.run.uid, "the run")
    whole.revoke("its run has ended")
    with run_context(run=ctx.run, store=ctx.store):
        object_store.put("x", 1)
        assert 1 == object_store.get("x")


def test_no_record_is_written_under_a_revoked_lease(leased):
    """Code of an attempt that was given up writes no run's record either."""
    from runstore import ObjectStore

    store = ObjectStore.from_address(leased.store)
    write = bind(store.write_run, leased)
    write(leased.run)
    leased.lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        write(leased.run.model_copy(update={"result": "late"}))
    assert None is store.read_run("r", namespace="ns").result
    store.write_run(leased.run.model_copy(update={"result": "on purpose"}))
    assert "on purpose" == store.read_run("r", namespace="ns").result


def test_a_run_entered_inside_is_over_too(leased):
    """A run that an attempt enters by hand is part of the attempt."""

    def nested():
        with run_context(run="inner"):
            object_store.put("x", 1)

    bind(nested, leased)()
    leased.lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        bind(nested, leased)()


def test_a_run_by_hand_has_no_lease(tmp_path):
    """A context of run_context() may be used again whenever its user likes."""
    with run_context(store=tmp_path / "store") as ctx:
        assert ctx.lease is None
    bind(object_store.put, ctx)("x", 1)
    assert 1 == bind(object_store.get, ctx)("x")


class Slow:
    """A value whose pickling tells when it begins, and waits until it is let go on."""

    begun, go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        self.begun.set()
        assert self.go_on.wait(60)
        return Slow, ()


def test_a_write_under_way_is_not_published(leased):
    """A put that had begun before the lease was revoked leaves the old object in its place."""
    put = bind(object_store.put, leased)
    put("x", 1)
    failed = []

    def write():
        try:
            put("x", Slow())
        except StaleRunError as exc:
            failed.append(exc)

    thread = threading.Thread(target=write)
    thread.start()
    assert Slow.begun.wait(60)
    leased.lease.revoke("it took longer than its timeout")
    Slow.go_on.set()
    thread.join()
    assert 1 == len(failed)
    assert 1 == bind(object_store.get, leased)("x")


def test_revoking_waits_for_a_write_past_the_last_look(run):
    """When revoke() returns, a write that could no longer be stopped has been published."""
    lease, write, order = attempt(run), object(), []
    lease.begin(write)
    thread = threading.Thread(target=lambda: (run.revoke("its run has ended", 60), order.append(2)))
    thread.start()
    while run._reason is None:
        pass
    order.append(1)
    lease.end(write)
    thread.join()
    assert [1, 2] == order


def test_revoking_does_not_wait_for_ever(run):
    """A write that hangs holds up who revokes for the given time only."""
    lease = attempt(run)
    lease.begin(object())
    lease.revoke("it failed", patience=0.01)
    assert "it failed" == lease.revoked


def test_the_context_of_the_stage_carries_the_lease(leased):
    """The lease goes along with copies and pickles of the context."""
    for ctx in (leased.model_copy(), leased.at_stage("t"), pickle.loads(pickle.dumps(leased))):
        assert leased.lease is ctx.lease
    assert leased == bind(get_run_context, leased)()


def test_a_lease_ends_with_its_last_reference(run):
    """Leases are in no cycle: they are forgotten at once, not when Python looks for cycles."""
    from runstore.context._lease import _known

    gc.collect()
    gc.disable()
    try:
        before = len(_known.leases)
        lease = attempt(run)
        pickle.loads(pickle.dumps(lease))
        assert before + 1 == len(_known.leases)
        del lease
        assert before == len(_known.leases)
    finally:
        gc.enable()
