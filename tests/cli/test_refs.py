"""How objects are written on a command line."""

import pytest

from runstore.cli._refs import Ref, object_place, parse_ref, resolved
from runstore.context import new_run
from runstore.errors import InvalidNameError, InvalidRequestError, ObjectNotFoundError
from runstore.keys import Place


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("ns", Ref("ns")),
        ("ns/", Ref("ns")),
        ("ns/run", Ref("ns", "run")),
        ("ns/run/", Ref("ns", "run")),
        ("ns/run/a", Ref("ns", "run", "a")),
        ("ns/run/a/b.c", Ref("ns", "run", "a/b.c")),
        ("ns/run/train/", Ref("ns", "run", "train/")),
        ("ns/_shared/a", Ref("ns", "_shared", "a")),
        ("ns/_latest", Ref("ns", "_latest")),
        (
            "prod/scheduled__2024-01-01T00:00:00+00:00/x y",
            Ref("prod", "scheduled__2024-01-01T00:00:00+00:00", "x y"),
        ),
    ],
)
def test_references_come_apart(text, ref):
    """Only the first two slashes part a reference; the rest is the object's name."""
    assert ref == parse_ref(text)


@pytest.mark.parametrize("text", ["", "/", "/a/b", "a//b", "_a", "a/_b/c", "..", "a/../b", "a\n/b"])
def test_what_is_no_reference_is_refused(text):
    """A part that could never name anything is refused before anything is looked up."""
    with pytest.raises(InvalidNameError):
        parse_ref(text)


@pytest.mark.parametrize(
    "place", [Place("ns", "r:1+x.y", "a/b"), Place("ns", None, "model"), Place("ns", "r", "ä b")]
)
def test_what_is_printed_can_be_typed(store, place):
    """A place reads back from how it prints."""
    assert place == object_place(store, str(place))


def test_a_run_is_no_object(store):
    """Where an object is needed, a run or namespace is refused with the way out."""
    for text in ("ns", "ns/run", "ns/_shared/"):
        with pytest.raises(InvalidRequestError, match="NAMESPACE/RUN/NAME"):
            object_place(store, text)


def test_latest_is_the_newest_recorded_run(store):
    """``_latest`` is the run that started last, in this namespace alone."""
    for namespace, name in (("ns", "old"), ("ns", "new"), ("other", "newest")):
        store.write_run(new_run("w", namespace=namespace, name=name))
    assert Ref("ns", "new", "x") == resolved(store, parse_ref("ns/_latest/x"))
    with pytest.raises(ObjectNotFoundError, match="`runstore ls empty` lists every run"):
        resolved(store, parse_ref("empty/_latest/x"))
