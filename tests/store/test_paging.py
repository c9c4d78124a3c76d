"""`iter`: what `list` gives, in the same order, without all of it at once."""

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.errors import InvalidNameError, InvalidRequestError
from runstore.places import Wrapper
from runstore.places._memory import MemoryBackend
from runstore.store import _paging
from runstore.store._objects import Objects

NAMES = st.lists(
    st.text("ab-._%é /", min_size=1, max_size=6).filter(
        lambda name: not {"", ".", ".."} & set(name.split("/")) and name == name.strip()
    ),
    unique=True,
    max_size=12,
)


class ByParts(Wrapper):
    """A place that lists as some S3 servers do: sorted by the parts of the key."""

    sorted_by_key = False

    def list(self, prefix):
        return iter(sorted(self._backend.list(prefix), key=lambda entry: entry.key.split("/")))


def a_view(names, wrapped=lambda backend: backend):
    name = f"memory://{uuid.uuid4()}"
    store = ObjectStore(name)
    store._now = Objects(wrapped(MemoryBackend(name)), "allow")
    view = store.at(namespace="n", run="r")
    for name in names:
        try:
            view.put(name, 1)
        except InvalidNameError:
            continue
    return view


@pytest.mark.parametrize("wrapped", [lambda backend: backend, ByParts], ids=["key", "parts"])
@given(NAMES, st.sampled_from(["", "a", "a-", "a/", "é", "a.", "b%"]), st.sampled_from([0, 2, 99]))
def test_iter_is_list(wrapped, names, prefix, page):
    """iter() gives the objects of list(), sorted by name, however few are held back."""
    with pytest.MonkeyPatch.context() as patch, a_view(names, wrapped).store as store:
        patch.setattr(_paging, "_PAGE", page)
        view = store.at(namespace="n", run="r")
        try:
            expected = view.list(prefix)
        except InvalidNameError:
            return
        assert expected == list(view.iter(prefix))


@pytest.mark.parametrize("name", ["item{:05}", "item-{:05}", "item-{:05}-of-9", "a/item-{:05}"])
def test_few_objects_are_held(name, monkeypatch):
    """The first object comes before the second page is read, and few wait for their turn."""
    monkeypatch.setattr(_paging, "_PAGE", 10)
    read = []

    class Noting(Wrapper):
        def list(self, prefix):
            for entry in self._backend.list(prefix):
                read.append(entry.key)
                yield entry

    view = a_view([name.format(n) for n in range(200)], Noting)
    for count, _ in enumerate(view.iter(), 1):
        assert len(read) <= count + 12
    assert 200 == count


def test_one_name_is_looked_up_for_a_page():
    """Names that could have to come first are looked up once for a page, not for each object."""
    looks = []

    class Noting(Wrapper):
        def head(self, key):
            looks.append(key)
            return self._backend.head(key)

    view = a_view([f"a-b-{n:05}" for n in range(3000)] + ["a-b"], Noting)
    found = list(view.iter("a"))
    assert ["n/r/a.arrow", "n/r/a-b.arrow"] == looks
    assert 3001 == len(found) == len({info.name for info in found})
    assert "a-b" == found[0].name


def test_a_broken_off_iteration_reads_no_further():
    """Who stops after some objects does not pay for the others."""
    read = []

    class Noting(Wrapper):
        def list(self, prefix):
            for entry in self._backend.list(prefix):
                read.append(entry.key)
                yield entry

    view = a_view([f"n{n:04}" for n in range(1000)], Noting)
    assert 5 == len(list(itertools.islice(view.iter("n"), 5)))
    assert len(read) < 10


def test_details_and_scopes():
    """iter() takes the arguments of list(), and checks them at once."""
    view = a_view(["a", "b"])
    view.put("c", 1, scope="namespace")
    assert view.list(details=True) == list(view.iter(details=True))
    assert ["c"] == [info.name for info in view.iter(scope="namespace")]
    with pytest.raises(InvalidRequestError, match="scope"):
        view.iter(scope="all")
    with pytest.raises(InvalidRequestError, match="prefix"):
        view.iter(7)
