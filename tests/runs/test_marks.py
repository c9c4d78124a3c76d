import threading

import pytest
from tests.upkeep.gc_runs import record, stocked

from runstore import ObjectNotFoundError
from runstore.errors import InvalidNameError, InvalidRequestError
from runstore.runs import marks_of, tagged_runs
from runstore.store import Marks

LONG = "/".join("x" * 190 for _ in range(2)) + "/" + "y" * 120


def test_runs_and_objects_get_tags_and_notes_afterwards(store):
    """Each has its own, and what others said stays."""
    stocked(store, "r")
    store.at(namespace="dev", run="r").put(LONG, 1)
    store.tag("r", ["reviewed", "team=ads"], namespace="dev")
    store.tag("r", ["später, ~/.x"], namespace="dev")
    store.tag("r", ["good"], name="deep/y", namespace="dev")
    store.tag("r", ["long"], name=LONG, namespace="dev")
    store.note("r", "the one of the paper\n", namespace="dev")
    store.note("r", "as measured", name="x", namespace="dev")
    store.pin("r", namespace="dev")
    expected = Marks(
        pinned=True,
        tags=("reviewed", "später, ~/.x", "team=ads"),
        note="the one of the paper\n",
        objects={
            "deep/y": Marks(tags=("good",)),
            "x": Marks(note="as measured"),
            LONG: Marks(tags=("long",)),
        },
    )
    assert expected == store.marks("r", namespace="dev")
    store.untag("r", ["reviewed", "never was"], namespace="dev")
    store.note("r", "", namespace="dev")
    store.unpin("r", namespace="dev")
    left = store.marks("r", namespace="dev")
    assert (False, ("später, ~/.x", "team=ads"), None) == (left.pinned, left.tags, left.note)
    assert expected.objects == left.objects


def test_what_runs_share_is_marked_without_a_run(store):
    """Objects of the namespace have tags and notes, too."""
    store.at(namespace="dev").put("model", 1, scope="namespace")
    store.tag(None, ["best"], name="model", namespace="dev")
    assert {"model": Marks(tags=("best",))} == store.marks(None, namespace="dev").objects


def test_runs_are_found_by_their_tags(store):
    """Newest first, of one namespace."""
    for day in range(4):
        record(store, f"r{day}", day)
        record(store, f"r{day}", day, namespace="other")
    for name in ("r1", "r3"):
        store.tag(name, ["good"], namespace="dev")
    store.tag("r2", ["goo", "bad"], namespace="dev")
    assert ["r3", "r1"] == [run.name for run in tagged_runs(store.backend, "dev", "good")]
    assert [] == tagged_runs(store.backend, "other", "good")


def test_marks_are_no_objects_and_no_runs(store):
    """Listings do not show them."""
    record(store, "r")
    store.tag("r", ["x"], namespace="dev")
    assert [] == store.runs_with_objects("dev")
    assert ["r"] == [run.name for run in store.runs("dev")]
    assert [] == store.at(namespace="dev", run="r").list()


def test_many_who_mark_at_once_lose_nothing(store):
    """Each mark is a file of its own."""
    record(store, "r")
    threads = [
        threading.Thread(target=store.tag, args=("r", [f"t{n}"]), kwargs={"namespace": "dev"})
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"t{n}" for n in range(16)} == set(store.marks("r", namespace="dev").tags)


def test_only_what_is_there_is_marked(store):
    """A wrong name is told, and nothing is written."""
    record(store, "r")
    for call, match in (
        (lambda: store.tag("s", ["x"], namespace="dev"), "no run 's'"),
        (lambda: store.tag("r", ["x"], name="y", namespace="dev"), "no object 'dev/r/y'"),
        (lambda: store.pin("s", namespace="dev"), "no run 's'"),
        (lambda: store.note("s", "x", namespace="dev"), "no run 's'"),
    ):
        with pytest.raises(ObjectNotFoundError, match=match):
            call()
    assert {} == marks_of(store.backend, "dev")
    store.unpin("s", namespace="dev")  # of nothing nothing is removed


@pytest.mark.parametrize("tag", ["", " x", "x\n", "é" * 33])
def test_a_tag_is_a_short_text(store, tag):
    """Anything else is refused."""
    record(store, "r")
    with pytest.raises(InvalidNameError, match="tag"):
        store.tag("r", [tag], namespace="dev")


def test_a_long_note_is_an_object(store):
    """A note has 64 KiB at most."""
    record(store, "r")
    with pytest.raises(InvalidRequestError, match="put\\(\\) it"):
        store.note("r", "x" * 70_000, namespace="dev")


def test_a_file_that_is_no_mark_is_passed_over(store):
    """The folder may hold any file."""
    record(store, "r")
    for name in ("readme.txt", "tag-%FF.json", "objects/x/note.json"):
        store.backend.put(f"dev/_marks/r/{name}", [b"x"])
    assert Marks() == store.marks("r", namespace="dev")


def test_the_note_of_a_pin_is_shown_and_bounded(store):
    """It says why, for whoever wonders why the run is still there."""
    record(store, "r")
    store.pin("r", namespace="dev", note="the one of the paper")
    assert "the one of the paper" == store.marks("r", namespace="dev").pin_note
    store.pin("r", namespace="dev")
    assert store.marks("r", namespace="dev").pin_note is None
    with pytest.raises(InvalidRequestError, match="pin: the text is longer"):
        store.pin("r", namespace="dev", note="x" * 70_000)
