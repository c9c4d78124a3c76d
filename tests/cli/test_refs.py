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


def test_a_line_that_an_error_shows_is_one_command(cli, disk):
    """What a shell would carry out in a name is quoted."""
    disk.at(namespace="n;touch INJ1", run="r;touch INJ2").put("x", 1)
    for command, ref, line in [
        ("show", "n;touch INJ1/r;touch INJ2", "`runstore ls 'n;touch INJ1/r;touch INJ2'`"),
        ("show", "n;touch INJ1/none", "`runstore ls 'n;touch INJ1'`"),
        ("ls", "n;touch INJ1/_latest", "`runstore ls 'n;touch INJ1'`"),
    ]:
        assert line in cli(command, ref).err


def test_the_beginning_of_a_name_is_enough_for_people(store):
    """If one run alone begins so. A whole name is always that run; what is no beginning stays."""
    for name in ("train-1", "train-10", "test-1"):
        store.write_run(new_run("w", namespace="ns", name=name))
    store.at(namespace="ns", run="tr").put("x", 1)
    for text, run in (("te", "test-1"), ("train-1", "train-1"), ("tr", "tr"), ("zz", "zz")):
        assert Ref("ns", run, "x") == resolved(store, parse_ref(f"ns/{text}/x"), complete=True)
        assert Ref("ns", text, "x") == resolved(store, parse_ref(f"ns/{text}/x"))
    store.at(namespace="ns", run="bare-1").put("x", 1)
    assert Ref("ns", "bare-1", "x") == resolved(store, parse_ref("ns/ba/x"), complete=True)
    with pytest.raises(InvalidRequestError, match="2 runs have names that begin so: train-1, "):
        resolved(store, parse_ref("ns/trai"), complete=True)
