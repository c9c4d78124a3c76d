"""What `runstore.places.Backend` promises, as tests."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import pytest

from runstore.buffers import flat
from runstore.errors import (
    NotModifiedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from runstore.places import Backend
from runstore.testing._place_listings import PlaceListings
from runstore.testing._place_races import PlaceRaces
from runstore.testing._unclaimed import UnclaimedWarning, holding

__all__ = ["PlaceTests", "UnclaimedWarning"]

LARGE = 1 << 20


class _BoomError(Exception):
    """Raised by a producer of buffers in mid-write."""


class PlaceTests(PlaceListings, PlaceRaces):
    """The contract of a place. Subclasses give an empty one per test, and a side door.

    What the place's `guarantees` claim is tried, and what they do not claim has to be refused.
    What is not claimed and seems to hold all the same is reported by an `UnclaimedWarning`.

    Attributes:
        unclaimed: What is left unclaimed on purpose, by the name of the guarantee, and why. It
            is not reported.
        exact_folders: Whether ``folders`` leaves out those that were emptied. Some S3
            servers keep them for a while.
        repeats: How often races are run.
        sorted_listing: Whether ``list`` is sorted by key. Some S3 servers sort by the
            parts of the key.
    """

    sorted_listing: ClassVar[bool] = True
    exact_folders: ClassVar[bool] = True
    repeats: ClassVar[int] = 10
    unclaimed: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    @abstractmethod
    def backend(self) -> Backend:
        """Return an empty backend."""

    @abstractmethod
    def raw_read(self, backend: Backend, key: str) -> bytes:
        """Read without the backend's own code, so that ``put`` is really tested."""

    def unrestrained(self, backend: Backend) -> Backend | None:
        """Return *backend* so that it tries conditions that it does not claim, for the report.

        Returns:
            None where nothing is refused that could be tried.
        """
        return None

    def another(self, backend: Backend) -> Backend | None:
        """Return what another process would open, for the report; None if that cannot be told."""
        return None

    def test_what_holds_is_claimed(self, backend: Backend) -> None:
        """What is not claimed and holds, as far as that can be tried, is reported."""
        claimed = backend.probe()
        seem = set(holding(backend, self.unrestrained(backend), self.another(backend), claimed))
        for name in sorted(seem - set(self.unclaimed)):
            warnings.warn(
                UnclaimedWarning(
                    f"{type(backend).__name__} does not claim {name!r} "
                    f"({getattr(claimed, name)!r}), and it seems to hold: claim it, or name the "
                    f"reason in {type(self).__name__}.unclaimed"
                ),
                stacklevel=2,
            )

    def test_close_can_be_repeated(self, backend: Backend) -> None:
        """close() gives back what the backend holds; buffers that were read stay valid."""
        backend.put("a.arrow", [bytes(LARGE)])
        data, _ = backend.get("a.arrow")
        backend.close()
        backend.close()
        assert bytes(LARGE) == bytes(flat(data))

    def test_put_lands(self, backend: Backend) -> None:
        """What put() wrote is there for any other reader, byte for byte."""
        entry = backend.put("a/b.arrow", [b"x", memoryview(b"yz"), b"", bytearray(b"!")])
        assert ("a/b.arrow", 4) == (entry.key, entry.size)
        assert b"xyz!" == self.raw_read(backend, "a/b.arrow")

    def test_get_returns_what_was_put(self, backend: Backend) -> None:
        """get() gives the bytes of the last put, and describes them."""
        put = backend.put("a.arrow", [b"old"])
        put = backend.put("a.arrow", [b"new value"])
        data, entry = backend.get("a.arrow")
        assert b"new value" == bytes(flat(data))
        assert (put.size, put.version) == (entry.size, entry.version)

    def test_guarantees_are_complete_once_asked(self, backend: Backend) -> None:
        """probe() leaves nothing unknown, also of what `guarantees` says; and puts are atomic."""
        asked = backend.probe()
        assert asked == backend.guarantees
        assert None not in (asked.atomic_put, asked.create, asked.compare_and_swap)
        assert asked.atomic_put != "no"
        assert [] == list(backend.list(""))

    def test_get_takes_conditions(self, backend: Backend) -> None:
        """get() gives another version than the one at hand, or just the one that is wanted."""
        if backend.guarantees.versions == "none":
            return
        first = backend.put("a.arrow", [b"one"]).version
        with pytest.raises(NotModifiedError, match=r"a\.arrow"):
            backend.get("a.arrow", if_none_match=first)
        assert b"one" == bytes(flat(backend.get("a.arrow", if_match=first)[0]))
        second = backend.put("a.arrow", [b"other"]).version
        with pytest.raises(PreconditionFailedError, match=r"a\.arrow"):
            backend.get("a.arrow", if_match=first)
        data, entry = backend.get("a.arrow", if_none_match=first)
        assert (b"other", second) == (bytes(flat(data)), entry.version)
        for condition in ("if_match", "if_none_match"):
            with pytest.raises(ObjectNotFoundError):
                backend.get("b.arrow", **{condition: first})

    @pytest.mark.parametrize("size", [0, 100, LARGE])
    def test_a_copy_is_an_object_of_its_own(self, backend: Backend, size: int) -> None:
        """copy() writes the same bytes under another key, which then live apart."""
        content = np.random.default_rng(size).bytes(size)
        backend.put("a.arrow", [content])
        backend.put("b/c.arrow", [b"old"])
        entry = backend.copy("a.arrow", "b/c.arrow")
        assert ("b/c.arrow", size) == (entry.key, entry.size)
        backend.put("a.arrow", [b"changed"])
        backend.delete("a.arrow")
        data, found = backend.get("b/c.arrow")
        assert (content, entry.version) == (bytes(flat(data)), found.version)
        with pytest.raises(ObjectNotFoundError, match=r"a\.arrow"):
            backend.copy("a.arrow", "d.arrow")
        with pytest.raises(ObjectExistsError if backend.probe().create else StorageError):
            backend.copy("b/c.arrow", "b/c.arrow", if_absent=True)
        assert ["b/c.arrow"] == [entry.key for entry in backend.list("")]

    def test_buffers_of_any_kind_are_bytes(self, backend: Backend) -> None:
        """An array of another item size is written as its bytes."""
        array = np.arange(1000, dtype="i8")
        assert 8000 == backend.put("a.arrow", [array.data]).size
        assert array.tobytes() == bytes(flat(backend.get("a.arrow")[0]))

    @pytest.mark.parametrize("size", [0, 1, 4096, 128 * 1024, LARGE + 1])
    def test_every_size_comes_back(self, backend: Backend, size: int) -> None:
        """Empty, small and large objects come back byte for byte."""
        content = np.random.default_rng(size).bytes(size)
        backend.put("a.arrow", [content])
        assert content == bytes(flat(backend.get("a.arrow")[0]))

    @pytest.mark.parametrize("size", [100, LARGE])
    def test_what_is_read_is_private_and_writable(self, backend: Backend, size: int) -> None:
        """Writing into what get() gave changes neither the object nor another reader's."""
        backend.put("a.arrow", [bytes(size)])
        mine, other = flat(backend.get("a.arrow")[0]), flat(backend.get("a.arrow")[0])
        mine[:10] = b"0123456789"
        assert bytes(10) == bytes(other[:10])
        assert bytes(10) == bytes(flat(backend.get("a.arrow")[0])[:10])

    @pytest.mark.parametrize("size", [100, LARGE])
    def test_what_is_read_outlives_its_object(self, backend: Backend, size: int) -> None:
        """A reader's bytes stay as they are when the object is replaced and deleted."""
        backend.put("a.arrow", [b"a" * size])
        data = backend.get("a.arrow")[0]
        backend.put("a.arrow", [b"b" * (size // 2)])
        backend.delete("a.arrow")
        assert b"a" * size == bytes(flat(data))

    def test_what_is_put_is_not_shared_with_the_caller(self, backend: Backend) -> None:
        """Changing the caller's buffer after put() returned changes nothing stored."""
        for size in (100, LARGE):
            buffer = bytearray(size)
            backend.put("a.arrow", [buffer])
            buffer[0] = 255
            assert bytes(size) == bytes(flat(backend.get("a.arrow")[0]))

    def test_a_write_that_fails_changes_nothing(self, backend: Backend) -> None:
        """If the buffers run dry with an error, the old object stays and nothing new is listed."""

        def failing() -> Iterator[bytes]:
            yield b"new"
            raise _BoomError

        backend.put("a.arrow", [b"old"])
        for key in ("a.arrow", "b.arrow"):
            with pytest.raises(_BoomError):
                backend.put(key, failing())
        assert b"old" == bytes(flat(backend.get("a.arrow")[0]))
        assert ["a.arrow"] == [entry.key for entry in backend.list("")]

    def test_nothing_is_visible_before_a_put_is_complete(self, backend: Backend) -> None:
        """While buffers are still coming, readers see the old object and list() no other."""
        seen: list[object] = []

        def looking() -> Iterator[bytes]:
            yield b"new "
            seen.append(bytes(flat(backend.get("a.arrow")[0])))
            seen.append([entry.key for entry in backend.list("")])
            yield b"value"

        backend.put("a.arrow", [b"old"])
        backend.put("a.arrow", looking())
        assert [b"old", ["a.arrow"]] == seen
        assert b"new value" == bytes(flat(backend.get("a.arrow")[0]))

    @pytest.mark.parametrize("verb", ["get", "head", "delete"])
    def test_what_is_not_there_is_not_found(self, backend: Backend, verb: str) -> None:
        """get, head and delete of nothing raise ObjectNotFoundError, also after a delete."""
        with pytest.raises(ObjectNotFoundError):
            getattr(backend, verb)("a.arrow")
        backend.put("a.arrow", [b"x"])
        backend.put("a/b.arrow", [b"x"])
        backend.delete("a.arrow")
        with pytest.raises(ObjectNotFoundError):
            getattr(backend, verb)("a.arrow")

    def test_a_folder_is_not_an_object(self, backend: Backend) -> None:
        """The folder of an object is not found as an object."""
        backend.put("a/b.arrow", [b"x"])
        for verb in (backend.get, backend.head, backend.delete):
            with pytest.raises(ObjectNotFoundError):
                verb("a")

    def test_read_gives_a_range_of_one_version(self, backend: Backend) -> None:
        """read() gives the bytes asked for, of the version asked for, or says that it is gone."""
        data = bytes(range(256)) * 8
        version = backend.put("a.arrow", [data]).version
        assert version is not None
        for start, length in ((0, 5), (100, 1000), (2040, 8), (7, 0)):
            assert data[start : start + length] == bytes(
                flat(backend.read("a.arrow", start, length, version))
            )
        with pytest.raises(StorageError):
            backend.read("a.arrow", 2040, 9, version)
        backend.put("a.arrow", [data[::-1], b"longer"])
        with pytest.raises(PreconditionFailedError, match=r"a\.arrow"):
            backend.read("a.arrow", 0, 5, version)
        backend.delete("a.arrow")
        with pytest.raises(ObjectNotFoundError, match=r"a\.arrow"):
            backend.read("a.arrow", 0, 5, version)

    def test_tail_gives_the_last_bytes(self, backend: Backend) -> None:
        """tail() gives as many of the last bytes as asked for, or all there are."""
        for size in (100, LARGE):
            content = np.random.default_rng(size).bytes(size)
            backend.put("a.arrow", [content])
            for length in (1, 10, size, size + 1):
                data, entry = backend.tail("a.arrow", length)
                assert content[-length:] == bytes(flat(data))
                assert size == entry.size
        with pytest.raises(ObjectNotFoundError):
            backend.tail("b.arrow", 10)

    def test_versions_differ_by_write(self, backend: Backend) -> None:
        """Every put gives another version, as far as the place says; of another size always."""
        kind, writes = backend.guarantees.versions, 20
        body = {"write": b"same", "content": b"%d", "time": b"x"}.get(kind, b"")
        bodies = [body % i if kind == "content" else body for i in range(writes)]
        if kind == "time":
            bodies = [body * i for i in range(writes)]
        versions = [backend.put("a.arrow", [body]).version for body in bodies]
        assert (writes if kind != "none" else 1) == len(set(versions))
        assert (kind == "none") == (None in versions)

    def test_if_absent_keeps_what_is_there(self, backend: Backend) -> None:
        """if_absent writes once; the second time it raises and the first object stays."""
        if not backend.probe().create:
            with pytest.raises(StorageError, match="if_absent"):
                backend.put("a.arrow", [b"1"], if_absent=True)
            assert [] == list(backend.list(""))
            return
        backend.put("a.arrow", [b"1"], if_absent=True)
        with pytest.raises(ObjectExistsError):
            backend.put("a.arrow", [b"2"], if_absent=True)
        assert b"1" == bytes(flat(backend.get("a.arrow")[0]))

    def test_if_match_replaces_only_that_version(self, backend: Backend) -> None:
        """if_match writes over the version it names, and nothing else, not even nothing."""
        if not backend.probe().compare_and_swap:
            with pytest.raises(StorageError, match="if_match"):
                backend.put("a.arrow", [b"1"], if_match="x")
            assert [] == list(backend.list(""))
            return
        first = backend.put("a.arrow", [b"1"]).version
        second = backend.put("a.arrow", [b"2"], if_match=first).version
        for stale in (first, "nonsense"):
            with pytest.raises(PreconditionFailedError):
                backend.put("a.arrow", [b"3"], if_match=stale)
        backend.delete("a.arrow")
        with pytest.raises(PreconditionFailedError):
            backend.put("a.arrow", [b"3"], if_match=second)
        assert [] == list(backend.list(""))

    def test_delete_many_removes_each_and_tells_each_error(self, backend: Backend) -> None:
        """delete_many() removes what is there, and gives an error for each key where nothing is."""
        keys = [f"a/{i}.arrow" for i in range(12)]
        for key in keys:
            backend.put(key, [b"x"])
        errors = backend.delete_many([*keys[:5], "gone.arrow"])
        assert {"gone.arrow": ObjectNotFoundError} == {k: type(e) for k, e in errors.items()}
        assert {} == backend.delete_many([*keys[5:10], "gone.arrow"], missing_ok=True)
        assert {} == backend.delete_many([])
        assert sorted(keys[10:]) == sorted(entry.key for entry in backend.list(""))

    def test_sweep_leaves_objects_alone(self, backend: Backend) -> None:
        """sweep() removes no object."""
        backend.put("a/b.arrow", [b"x"])
        backend.sweep(0)
        assert ["a/b.arrow"] == [entry.key for entry in backend.list("")]
