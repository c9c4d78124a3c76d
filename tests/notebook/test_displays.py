"""What notebooks show is inert, bounded, and never in the way."""

import dataclasses
import pickle
from html.parser import HTMLParser

import pyarrow as pa
import pytest

import runstore
from runstore import (
    ObjectInfo,
    ObjectStore,
    Workflow,
    object_store,
    replay,
    run_context,
    run_workflow,
)
from runstore.context import StageRecord, new_run
from runstore.displays import Listing, lines, pairs, table
from runstore.errors import InvalidNameError, NoRunContextError

EVIL = "<script>alert(1)</script>\x1b[31m\u202e\"' onload='x"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.attributes, self.open = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()


def check(html):
    """Assert that there are no tags but those of tables, all closed, and no strange characters."""
    tags = Tags()
    tags.feed(html)
    assert [] == tags.open
    assert tags.seen <= {"table", "thead", "tbody", "tr", "th", "td", "p", "pre"}
    assert tags.attributes <= {"style", "scope"}
    assert "\x1b" not in html
    assert "\u202e" not in html
    return html


def test_text_of_users_is_inert(store):
    """Names, types, metadata, inputs, errors: markup and control characters are written out."""
    view = store.at(namespace="n", run="r")
    name = EVIL.replace("/", "_").replace("\x1b", "")
    view.put(name, {"a": 1}, metadata={EVIL: EVIL})
    run = new_run(EVIL, namespace="n", name="r", source=EVIL)
    run = run.model_copy(update={"error": EVIL, "input": {EVIL: EVIL}, "result": [EVIL]})
    store.write_run(run)
    shown = [store, view, view.list(), view.stat(name), store.runs(), store.runs()[0]]
    with run_context(namespace="n", run="r", input={EVIL: EVIL}, store=store) as ctx:
        shown += [ctx]
        check(object_store._repr_html_())
    for value in shown:
        check(value._repr_html_())
    assert "&lt;script&gt;" in view.list()._repr_html_()
    check(object_store._repr_html_())


@pytest.fixture
def hostile(tmp_path):
    """Give a store with two runs whose names and texts are markup, and the name of their object."""
    store, name = ObjectStore(tmp_path / "store"), EVIL.replace("/", "_").replace("\x1b", "")
    store.at(namespace="n").put(f"{name}.pkl", {1: 2}, scope="namespace")
    for n, run in enumerate(("<b>one", "<b>two")):
        view = store.at(namespace="n", run=run)
        view.put(name, {EVIL: f"{EVIL}{n}"}, metadata={EVIL: EVIL * (n + 1)})
        view.put("table", pa.table({EVIL: [EVIL, str(n)], f"{EVIL}{n}": [1, 2]}))
        stages = (StageRecord(name=EVIL, error=f"{EVIL}{n}", state="failed"),)
        record = new_run(EVIL, namespace="n", name=run, source=EVIL)
        told = {"input": {EVIL: f"{EVIL}{n}"}, "stages": stages, "state": "failed"}
        store.write_run(record.model_copy(update=told))
        store.tag(run, ["<i>tag"], namespace="n")
    store.at(namespace="n", run="<b>bad").put("damaged", EVIL * 1000)
    [path] = (tmp_path / "store").glob("n/*bad/damaged.arrow")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-100])
    return store, name


def test_what_inspections_find_is_inert(hostile):
    """Plans, reports, audits, differences, checks, marks: what they tell shows, as text only."""
    store, name = hostile
    runs, table = store.diff("n/<b>one", "n/<b>two"), store.diff("n/<b>one/table", "n/<b>two/table")
    plan, audit, checked = store.plan_gc(keep_last=1), store.audit(), [*store.verify()]
    shown = [
        *(runs, table, table.table, store.diff(f"n/<b>one/{name}", f"n/<b>two/{name}")),
        *(plan, audit, *checked, store.marks("<b>one", namespace="n"), store.guarantees),
    ]
    told = [check(one._repr_html_()) for one in shown]
    assert all("&lt;b&gt;one" in one for one in told[:2])
    assert "&lt;b&gt;one</td>" in told[4]
    assert "Nothing was removed" in told[4]
    assert any("damaged" in one for one in told[6:])
    assert "&lt;i&gt;tag" in told[-2]
    assert audit.findings
    assert "unreadable" in told[5]
    done = plan.apply()
    assert "&lt;b&gt;one</td>" in check(done._repr_html_())
    assert check(dataclasses.replace(done, failed={EVIL: EVIL}, skipped={EVIL: EVIL})._repr_html_())


def test_replays_and_workflows_are_inert(tmp_path, monkeypatch):
    """What was returned and raised, then and now, and the names of stages."""
    monkeypatch.chdir(tmp_path)

    def stage():
        object_store.put("x", EVIL)
        raise ValueError(EVIL)

    store, made = ObjectStore(tmp_path / "store"), {"name": "s", "target": stage}
    definition = {"metadata": {"name": EVIL}, "spec": {"stages": [made]}}
    run = run_workflow(definition, store=store, run="r", raise_on_failure=False)
    again = replay(run, "s", function=stage, store=store)
    assert "&lt;script&gt;" in check(again._repr_html_())
    assert "&lt;script&gt;" in check(Workflow.model_validate(definition)._repr_html_())


def test_secrets_by_name_do_not_show():
    """An input or config that is secret by its name is not in the table."""
    with run_context(config={"password": "hidden-word", "rate": 0.5}, store="memory://x") as ctx:
        html = ctx._repr_html_()
    assert "hidden-word" not in html
    assert "rate=0.5" in html


def test_listings_are_lists(view):
    """`list()` and `runs()` return lists: equal to them, picklable, sliced to tables."""
    for name in "abc":
        view.put(name, 1)
    found = view.list()
    assert isinstance(found, list)
    assert list(found) == found
    assert ["a", "b"] == [info.name for info in found[:2]]
    assert "<table>" in found[:2]._repr_html_()
    assert "a" == found[0].name
    assert found == pickle.loads(pickle.dumps(found))
    assert type(found) is type(pickle.loads(pickle.dumps(found)))
    assert "nothing is there" in view.list("none")._repr_html_()


def test_long_listings_are_cut():
    """A table has a hundred rows at most, and a cell some hundred characters."""
    html = check(Listing(["x" * 1000] * 250)._repr_html_())
    assert 100 == html.count("<td")
    assert "and 150 more" in html
    assert len(html) < 50_000


def test_views_are_mappings_of_names(store):
    """A view of a run has its objects, one without a run those that all runs share."""
    view, shared = store.at(namespace="n", run="r"), store.at(namespace="n")
    view.put("a/b", 1)
    view.put("c", None)
    view.put("s", 3, scope="namespace")
    assert (1, None, 3) == (view["a/b"], view["c"], shared["s"])
    assert ["a/b", "c"] == list(view) == view._ipython_key_completions_()
    assert (2, 1, 0) == (len(view), len(shared), len(store.at(namespace="n", run="none")))
    assert ("c" in view, "s" in view, "s" in shared) == (True, False, True)
    assert not any(name in view for name in (1, None, "", "../x"))
    assert store.at(namespace="n", run="none")  # true without objects
    with pytest.raises(KeyError, match="nope"):
        view["nope"]
    with pytest.raises(runstore.errors.InvalidNameError):
        view[3]
    with pytest.raises(TypeError):
        view["x"] = 1


def test_the_current_run_is_a_mapping_too():
    """`object_store` has the objects of the run in which it is asked."""
    with run_context(namespace="dev", run="r", store="memory://facade"):
        object_store.put("b", 2)
        object_store.put("a", 1)
        object_store.put("shared", 3, scope="namespace")
        assert 1 == object_store["a"]
        assert ["a", "b"] == [*object_store]
        assert 2 == len(object_store)
        there = [name in object_store for name in ("a", "shared", "", 3)]
        assert [True, False, False, False] == there
        with pytest.raises(KeyError):
            object_store["nope"]
        with pytest.raises(InvalidNameError, match="name must be a str, not int"):
            object_store[3]
    assert object_store
    for ask in (len, list, lambda store: store["a"], lambda store: "a" in store):
        with pytest.raises(NoRunContextError):
            ask(object_store)


def test_completion_offers_what_is_for_users(view):
    """dir() of stores, views, records and the modules has no private or foreign names."""
    with run_context(store=view.store) as ctx:
        for value in (view, view.store, ctx, ctx.run, object_store, runstore):
            names = set(dir(value)) - {"__version__"}
            assert not [name for name in names if name.startswith("_")]
            assert not names & {"TYPE_CHECKING", "import_module", "parse_obj", "model_config"}
    assert {"get", "put", "store", "namespace", "run"} <= set(dir(view))
    assert {"state", "stages", "model_dump"} <= set(dir(ctx.run))


def test_what_cannot_be_listed_says_why(tmp_path):
    """A place that fails shows its error and does not raise; a closed store says so."""
    (tmp_path / "file").write_text("x")
    store = ObjectStore(tmp_path / "file")
    assert "file" in check(store._repr_html_())
    assert check(store.at(namespace="n", run="r")._repr_html_())
    store.close()
    assert "closed" in store._repr_html_()


def test_a_remote_store_shows_as_well(moto_server):
    """With the credentials it was made with, and without waiting for long."""
    from tests.places.s3_ import open_store

    store = open_store(moto_server, "obstore")
    store.at(namespace="n", run="r").put("remote", 1)
    assert ">n</td>" in check(store._repr_html_())
    assert ">remote</td>" in check(store.at(namespace="n", run="r")._repr_html_())
    assert "no such bucket" in open_store(moto_server, "obstore", "not-there")._repr_html_()


def test_a_listing_reads_nothing_to_show(view, monkeypatch):
    """The table of a plain `list()` needs no further request."""
    view.put("a", 1)
    found = view.list()
    monkeypatch.setattr(type(view.store.backend), "tail", None)
    assert ">a</td>" in check(found._repr_html_())
    assert isinstance(found[0], ObjectInfo)


def test_lineage_shows_its_tree(store):
    """What an object was made of is a text of several lines, escaped and cut."""
    with run_context(namespace="n", run="r", store=store):
        object_store.put(EVIL.replace("/", "_").replace("\x1b", ""), 1)
    name = store.at(namespace="n", run="r").list()[0].name
    html = check(store.at(namespace="n", run="r").lineage(name)._repr_html_())
    assert "&lt;script&gt;" in html
    assert "and 50 more lines" in check(lines("\n".join(["<b>"] * 250)))


def test_the_building_blocks_escape():
    """Titles, labels and cells are escaped alike; None is empty."""
    check(table([EVIL], [[EVIL], [None]]))
    assert "absent" not in check(pairs({EVIL: EVIL, "absent": None}))
