"""The index of a namespace's runs: never the truth, and the same answers whatever becomes of it."""

import random
import threading
import zlib
from datetime import timedelta

import pytest
from tests.places.s3_ import environment
from tests.runs.test_newest import START, Counting
from tests.upkeep.gc_runs import record

from runstore import ObjectStore
from runstore.buffers import flat
from runstore.context import new_run, new_run_name
from runstore.places import Wrapper
from runstore.queries import runs_page
from runstore.runs import _index, looks, newest_first, newest_runs, recorded_runs
from runstore.runs._index import index_key, listed_records
from runstore.runs._index_file import Block, index_file, parsed_index
from runstore.store._objects import Objects

WORTH, COUNT = 30, 40


@pytest.fixture(autouse=True)
def _for_few(monkeypatch):
    """Let few runs be worth an index."""
    monkeypatch.setattr(_index, "WORTH", WORTH)


class Far(Counting):
    """A place that says that each read costs a request."""

    @property
    def guarantees(self):
        from dataclasses import replace

        return replace(super().guarantees, mapped=False)

    def list(self, prefix):
        self.asked[f"list {prefix.partition('/')[2]}"] += 1
        return super().list(prefix)


def counted(store):
    """Let the place of a store count what is asked of it."""
    store._now = Objects(Far(store.backend), "allow")
    return store.backend.asked


@pytest.fixture
def many(tmp_path):
    """Give a store with more runs than need an index, some of them living or damaged."""
    store = ObjectStore(tmp_path / "store")
    for n in range(COUNT):
        record(store, f"r{n:03}", n, state="failed" if n % 7 == 0 else "finished")
    record(store, "living", COUNT, state="running")
    return store


def answers(store):
    """Return what listings and clean-up say of the runs."""
    runs = [run.model_dump() for run in store.runs("dev")]
    newest = [run.name for run in newest_runs(store.backend, "dev", 5)]
    seen = sorted(looks(store.backend, "dev"), key=lambda look: look.name)
    return runs, newest, seen, store.plan_gc(keep_last=3, orphans=False).reasons


def test_records_of_ended_runs_are_read_once(many):
    """Afterwards a look costs the listing, the index, and the runs that go on."""
    expected = answers(many)
    many.backend.delete(index_key("dev"))
    asked = counted(many)
    assert expected[0] == [run.model_dump() for run in many.runs("dev")]
    assert COUNT + 2 == asked["get"]  # and the index, which is not there
    asked.clear()
    assert expected == answers(many)
    assert 3 * 2 + 1 + 1 == asked["get"]  # three times the index and the living run
    record(many, "new", COUNT + 1)
    asked.clear()
    assert "new" == many.runs("dev")[0].name
    assert 3 == asked["get"]


def test_a_filter_and_a_late_page_read_no_other_record(many):
    """By the index: states, workflows and sources are in it, and so is which runs come first."""
    expected = many.runs("dev")
    failed = [run for run in expected if run.state == "failed"]
    asked = counted(many)
    assert failed == many.runs("dev", state="failed")
    assert failed == runs_page(many, "dev", state="failed").items
    assert expected == runs_page(many, "dev", text="manual").items
    assert [] == runs_page(many, "dev", text="cron").items
    assert 4 * 2 == asked["get"]  # the index and the living run
    asked.clear()
    late = newest_first(many.backend, "dev", skip=30, at_once=5)
    assert expected[30:33] == [next(late) for _ in range(3)]
    assert 2 == asked["get"]


def test_a_small_namespace_has_no_index(tmp_path):
    """A few records are read sooner than an index is written."""
    store = ObjectStore(tmp_path / "store")
    for n in range(WORTH - 1):
        record(store, f"r{n}", n)
    answers(store)
    assert [] == list(store.backend.list("dev/_index/"))


def test_whatever_becomes_of_the_index_the_answers_are_the_same(many):
    """Deleted, cut off at any place, replaced by anything, of another version, or old."""
    expected = answers(many)
    key, backend = index_key("dev"), many.backend
    whole = bytes(backend.get(key)[0])
    other = ObjectStore("memory://other-index")
    for n in range(COUNT):
        record(other, f"r{n:03}", n + 1, state="failed")
    answers(other)
    strange = [b"", b"\0" * 1000, b"{}", whole.replace(b"index 2", b"index 1"), whole + b"x"]
    strange += [whole[: len(whole) * part // 10] for part in range(10)]
    strange += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (3, 30, 90, 1500)]
    strange += [bytes(other.backend.get(key)[0])]
    for data in strange:
        backend.put(key, [data])
        assert expected == answers(many)
    backend.delete(key)
    assert expected == answers(many)
    backend.delete_many([f"dev/_runs/r{n:03}.json" for n in range(9)])
    record(many, "r020", 20, state="failed", error="changed")
    fresh = answers(many)
    backend.put(key, [whole])  # an old one
    assert fresh == answers(many)
    assert COUNT - 9 + 1 == len(fresh[0])
    other.close()


@pytest.mark.parametrize("part", ["rows", "records"])
@pytest.mark.parametrize("content", ["too long", "too many objects", "no zlib", "others"])
def test_a_forged_block_is_none(many, part, content):
    """A block that would fill memory, or is not as it is written: the records are read instead."""
    before, key = answers(many), index_key("dev")
    blocks, head = parsed_index(flat(many.backend.get(key)[0]).tobytes())
    forged = {
        "too long": zlib.compress(b"[" + b" " * (1 << 28) + b"]"),
        "too many objects": zlib.compress(b"[" + b"[[],[]]," * (1 << 21) + b"0]"),
        "no zlib": b"x" * 100,
        "others": zlib.compress(b"[1]"),
    }[content]
    bad = []
    for block in blocks:
        rows, records = block.packed[: block.row_bytes], block.packed[block.row_bytes :]
        if part == "rows":
            bad.append(Block(block.rows, forged + records, len(forged)))
        else:
            bad.append(Block(block.rows, rows + forged, len(rows)))
    many.backend.put(key, index_file(bad, head))
    assert before == answers(many)


def test_two_who_write_it_at_once_harm_nobody(many):
    """Also while runs end: every look has what was there before it."""
    expected = answers(many)
    wrong = []

    def look(number):
        store = ObjectStore(many.address)
        for n in range(4):
            name = f"late-{number}-{n}"
            at = START + timedelta(days=COUNT + 10 + n)
            run = new_run("train", namespace="dev", name=name)
            store.write_run(run.model_copy(update={"state": "finished", "started_at": at}))
            if n % 2 == number % 2:
                store.backend.delete_many([index_key("dev")], missing_ok=True)
            if name not in {run.name for run in store.runs("dev")}:
                wrong.append(name)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong
    late = [f"dev/_runs/late-{number}-{n}.json" for number in range(4) for n in range(4)]
    many.backend.delete_many(late)
    assert expected == answers(many)


class ReadOnly(Wrapper):
    """A place where nothing may be written."""

    def put(self, key, buffers, **how):
        from runstore.errors import AccessDeniedError

        raise AccessDeniedError(f"{key} may not be written", key)


def test_who_may_not_write_looks_without_it(many):
    """A reader's answers are the same."""
    expected = answers(many)
    many.backend.delete(index_key("dev"))
    many._now = Objects(ReadOnly(many.backend), "allow")
    assert expected == answers(many)
    assert [] == list(many.backend.list("dev/_index/"))


def test_rows_of_runs_that_are_gone_leave_the_index(many):
    """It does not grow for ever."""
    answers(many)
    large = many.backend.head(index_key("dev")).size
    many.plan_gc(keep_last=0, orphans=False).apply()
    for n in range(WORTH):
        record(many, f"s{n:03}", n)
    answers(many)
    assert many.backend.head(index_key("dev")).size < 1.5 * large


# Far away, not even the records are listed --------------------------------------------------------


@pytest.fixture
def far(many):
    """Give the same store as a place that is far away, looked at once."""
    counted(many)
    answers(many)
    return many


def newest(store, most=5):
    """Return the names of the newest runs, by the two ways that list them."""
    runs = [run.name for run in newest_runs(store.backend, "dev", most)]
    assert runs == [run.name for run in store.runs("dev", limit=most)]
    return runs


def test_the_newest_runs_cost_four_requests_however_many_there_are(far):
    """What is new is listed, the index read, and each run that goes on."""
    expected = ["living", *(f"r{n:03}" for n in range(COUNT - 1, COUNT - 5, -1))]
    far.backend.asked.clear()
    assert expected == [run.name for run in newest_runs(far.backend, "dev", 5)]
    assert {"list": 1, "list _index/new/": 1, "get": 2} == far.backend.asked


def test_runs_that_begin_change_or_go_are_known_at_once(far):
    """Also where the records are not listed."""
    record(far, "begun", COUNT + 5, state="running")
    record(far, "r038", COUNT + 4)
    far.delete_run("r039", namespace="dev")
    before = far.backend.asked["list _runs/"]
    assert ["begun", "r038", "living", "r037", "r036"] == newest(far)
    assert before == far.backend.asked["list _runs/"]
    far.plan_gc(keep_last=3, orphans=False).apply()
    assert ["begun", "r038", "living", "r037", "r036"] == newest(far)
    assert before < far.backend.asked["list _runs/"]  # the clean-up has looked at all
    record(far, "last", COUNT + 6)
    assert ["last", "begun", "r038", "living", "r037", "r036"] == newest(far, 9)


def test_which_runs_have_a_record_is_known_without_a_listing_of_them(far):
    """Those that go on, begin or go are asked for one by one; the first page of a view needs it."""
    newest(far)  # which writes the index
    record(far, "new", COUNT + 1, state="running")
    far.delete_run("r003", namespace="dev", force=True)
    expected = sorted(listed_records(far.backend, "dev"))
    asked = far.backend.asked
    asked.clear()
    assert expected == recorded_runs(far.backend, "dev")
    assert ("new" in expected, "r003" in expected) == (True, False)
    assert {"get": 1, "list": 1, "list _index/new/": 1} == asked


def test_whatever_becomes_of_what_was_noted_the_newest_runs_are_the_same(far):
    """Tokens or the index are removed, replaced, doubled or old."""
    record(far, "begun", COUNT + 5)
    expected = newest(far)
    folder = "dev/_index/"
    backend = far.backend
    old = {e.key: bytes(backend.get(e.key)[0]) for e in backend.list(folder)}
    tokens = [key for key in old if "_token" in key]
    for changes in (
        lambda: backend.delete_many(tokens),
        lambda: backend.put(f"{folder}new/_token.other", [b"x"]),
        lambda: backend.put(f"{folder}new/garbage", [b"x"]),
        lambda: backend.delete(f"{folder}runs"),
        lambda: backend.put(f"{folder}runs", [b"x"]),
        lambda: backend.delete_many([e.key for e in backend.list(folder)]),
    ):
        changes()
        assert expected == newest(far)
        far.runs("dev")
        assert expected == newest(far)
    for n in range(40):
        record(far, f"s{n:03}", COUNT + 10 + n)
    far.runs("dev")  # which settles what was noted
    assert len(list(backend.list(f"{folder}new/"))) < 5
    backend.put(f"{folder}runs", [old[f"{folder}runs"]])
    assert ["s039", "s038"] == newest(far, 2)


def test_a_run_that_is_written_while_the_index_is_counts_as_it_was_written_last(far):
    """What was noted meanwhile is not settled by an index that does not know it."""
    for n in range(40):
        record(far, f"s{n:03}", COUNT + 10 + n)
    inner, late = far.backend._backend, []

    class During(Wrapper):
        """A place where a run is written again just before the index is."""

        def put(self, key, buffers, **how):
            if key.endswith("_index/runs") and not late:
                late.append(key)
                record(far, "s039", 0)
            return super().put(key, buffers, **how)

    store = ObjectStore(far.address)
    store._now = Objects(During(Far(inner)), "allow")
    store.runs("dev")
    assert late
    assert ["s038", "s037"] == newest(far, 2)


def test_what_is_noted_of_few_runs_does_not_grow_for_ever(tmp_path):
    """Also where there are too few runs for an index, or too few by now."""
    store = ObjectStore(tmp_path / "store")
    counted(store)
    for n in range(COUNT):
        record(store, f"r{n:03}", n)
    store.runs("dev")
    for n in range(COUNT - 5):
        store.delete_run(f"r{n:03}", namespace="dev")
    store.runs("dev")
    assert 0 == len(list(store.backend.list("dev/_index/")))
    for n in range(70):
        record(store, f"s{n % 7}", COUNT + n)
        if n % 20 == 0:
            store.runs("dev")
    store.runs("dev")
    assert len(list(store.backend.list("dev/_index/"))) < 64
    assert ["s6", "s5", "s4"] == newest(store, 3)


def test_a_namespace_is_gone_with_its_last_run(many):
    """Nothing is left of it, near by and far away."""
    for near in (True, False):
        if not near:
            counted(many)
        for n in range(COUNT):
            record(many, f"r{n:03}", n)
        many.runs("dev")
        many.plan_gc(keep_last=0, keep_finished=0, orphans=False).apply()
        many.delete_run("living", namespace="dev", force=True)
        assert [] == many.namespaces()
        record(many, "living", COUNT, state="running")


def test_runs_that_are_gone_are_gone_when_the_index_is_written_again(far):
    """Also those whose rows were in a block with many that are there."""
    for n in range(_index._MANY_NEW):
        record(far, f"s{n:03}", COUNT + 10 + n)
    gone = [f"r{n:03}" for n in range(COUNT) if n % 5 == 0]
    for name in gone:
        far.delete_run(name, namespace="dev", force=True)
    far.runs("dev")  # which settles what was noted
    assert not list(far.backend.list("dev/_index/new/r"))
    assert not {run.name for run in runs_page(far, "dev").items} & set(gone)
    assert not {run.name for run in newest_runs(far.backend, "dev", 200)} & set(gone)


@pytest.mark.extended
@pytest.mark.parametrize("seed", range(4))
def test_looks_at_a_part_of_the_runs_never_show_an_old_one(tmp_path, monkeypatch, seed):
    """Whatever is written, written again, removed and looked at in between, in any order."""
    monkeypatch.setattr(_index, "_MANY_NEW", 4)
    monkeypatch.setattr(_index, "_MOST_OPEN", 3)
    monkeypatch.setattr("runstore.runs._index_file.ROWS", 8)
    monkeypatch.setattr(_index, "ROWS", 8)
    rng = random.Random(seed)
    store, plain = ObjectStore(tmp_path / "store"), ObjectStore(tmp_path / "store")
    counted(store)
    there = dict[str, int]()  # and when they began
    for step in range(150):
        what = rng.choice(["new", "new", "again", "gone", "page", "page", "newest", "all"])
        if what == "new" or len(there) < WORTH:
            named = new_run_name("w", START + timedelta(days=step))
            name = rng.choice([named, named, named, f"own-{step}"])
            there[name] = step
            record(store, name, step, state=rng.choice(["finished", "failed", "running"]))
        elif what == "again":
            name = rng.choice(list(there))
            record(store, name, there[name], state=rng.choice(["finished", "failed"]))
        elif what == "gone":
            name = rng.choice(list(there))
            del there[name]
            store.delete_run(name, namespace="dev", force=True)
        elif what == "page":
            how = rng.choice([{}, {"page": 1}, {"page": 2}, {"state": "failed"}])
            _same(*(runs_page(one, "dev", **how).items for one in (store, plain)))
        elif what == "newest":
            most = rng.randrange(1, 20)
            _same(*(newest_runs(one.backend, "dev", most) for one in (store, plain)))
        else:
            _same(store.runs("dev"), [plain.read_run(one, namespace="dev") for one in there])


def _same(found, expected):
    def told(runs):
        return {run.name: run.model_dump_json() for run in runs}

    assert told(expected) == told(found), set(told(expected)) ^ set(told(found))


def test_a_page_of_many_runs_is_read_from_the_server_once(seaweed_server, monkeypatch):
    """The next look takes the same page from the index, although most runs were never read."""
    monkeypatch.setattr(_index, "_MOST_OPEN", 10)
    bucket = seaweed_server.new_bucket()
    for name, value in environment(seaweed_server).items():
        monkeypatch.setenv(name, value)
    with ObjectStore(f"s3://{bucket}") as store:
        names = [new_run_name("w", START + timedelta(days=n)) for n in range(100)]
        for n, name in enumerate(names):
            record(store, name, n)

        def look():
            before = seaweed_server.requests(bucket)
            assert names[:-51:-1] == [run.name for run in runs_page(store, "dev").items]
            return (seaweed_server.requests(bucket) - before).total()

        first = look()
        assert first > 51
        assert 2 == look()
        late = [new_run_name("w", START + timedelta(days=100 + n)) for n in range(40)]
        for n, name in enumerate(late):
            record(store, name, 100 + n)
        names += late
        assert look() > 40
        assert 2 == look()
