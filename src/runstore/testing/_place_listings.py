"""What listings of a place promise, as tests."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import pytest

from runstore.places import Backend, list_with_parts

__all__ = ["PlaceListings"]


class PlaceListings(ABC):
    """Listings: keys, folders, parts of objects. `PlaceTests` describes the attributes."""

    sorted_listing: ClassVar[bool]
    exact_folders: ClassVar[bool]

    @pytest.fixture
    @abstractmethod
    def backend(self) -> Backend:
        """Return an empty backend."""

    def test_list_is_sorted_and_complete(self, backend: Backend) -> None:
        """list() gives exactly the keys under the prefix, in order, with their sizes."""
        by_parts: Callable[[str], list[str]] = lambda key: key.split("/")  # noqa: E731
        keys = ["a.arrow", "a/b.arrow", "a/c/d.arrow", "a-b/c.arrow", "ab/c.arrow", "b/_x/y.json"]
        for i, key in enumerate(reversed(keys)):
            backend.put(key, [bytes(i)])
        assert sorted(keys, key=None if self.sorted_listing else by_parts) == [
            entry.key for entry in backend.list("")
        ]
        assert ["a/b.arrow", "a/c/d.arrow"] == [entry.key for entry in backend.list("a/")]
        assert {key: 5 - i for i, key in enumerate(keys)} == {
            entry.key: entry.size for entry in backend.list("")
        }
        assert [] == list(backend.list("nothing/"))

    def test_parts_are_listed_in_their_own_folder_alone(self, backend: Backend) -> None:
        """A folder ``.parts`` is hidden to who lists above it, and listed by who asks for it."""
        backend.put("n/r/.parts/x.arrow/i1.a.arrow", [b"1"])
        backend.put("n/r/.parts/x.arrow/i2.a.arrow", [b"2"])
        backend.put("n/s/y.arrow", [b"y"])
        assert ["n/s/y.arrow"] == [entry.key for entry in backend.list("")]
        assert [] == [entry.key for entry in backend.list("n/r/")]
        for prefix in ("n/r/.parts/", "n/r/.parts/x.arrow/"):
            found = [entry.key.rpartition("/")[2] for entry in backend.list(prefix)]
            assert ["i1.a.arrow", "i2.a.arrow"] == found
        assert ([], ["n/"]) == (backend.folders("n/r/"), backend.folders(""))
        assert ["r/", "s/"] == backend.folders("n/")
        of_run = {"n/r/.parts/x.arrow/i1.a.arrow", "n/r/.parts/x.arrow/i2.a.arrow"}
        assert of_run == {entry.key for entry in list_with_parts(backend, "n/r/")}
        assert of_run | {"n/s/y.arrow"} == {e.key for e in list_with_parts(backend, "n/")}

    def test_a_prefix_may_end_within_a_part(self, backend: Backend) -> None:
        """list() of any beginning gives the keys that begin so: files and folders, no others."""
        keys = ["n/r/a.arrow", "n/r/a/b.arrow", "n/r/ab-1.arrow", "n/r/ab-1/c.arrow"]
        for key in [
            *keys,
            "n/r/ab.arrow",
            "n/r/aa.arrow",
            "n/r/b.arrow",
            "n/r2/ab.arrow",
            "n/ab/r.arrow",
        ]:
            backend.put(key, [b"x"])
        for prefix in ("n/r/a", "n/r/ab", "n/r/ab-1", "n/r/ab.", "n/r/ac", "n/r", "n/r2", "nn"):
            found = [entry.key for entry in backend.list(prefix)]
            every = [entry.key for entry in backend.list("")]
            assert [key for key in every if key.startswith(prefix)] == found

    def test_list_and_head_agree(self, backend: Backend) -> None:
        """put(), head() and list() describe an object alike."""
        put = backend.put("a/b.arrow", [b"xyz"])
        head, listed = backend.head("a/b.arrow"), next(iter(backend.list("a/")))
        assert head == listed
        assert (put.key, put.size, put.version) == (head.key, head.size, head.version)
        # A place that does not say when it wrote is believed within its clock and ours.
        assert abs((put.modified - head.modified).total_seconds()) < 60

    def test_folders_are_those_that_hold_something(self, backend: Backend) -> None:
        """folders() gives the direct folders with objects at any depth, sorted."""
        backend.put("ns/run-2/deep/er.arrow", [b"x"])
        backend.put("ns/run-1/a.arrow", [b"x"])
        backend.put("ns/x.arrow", [b"x"])
        assert ["ns/"] == backend.folders("")
        assert ["run-1/", "run-2/"] == backend.folders("ns/")
        backend.delete("ns/run-1/a.arrow")
        left = backend.folders("ns/")
        assert left == ["run-2/"] or (not self.exact_folders and left == ["run-1/", "run-2/"])
