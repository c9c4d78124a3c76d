"""What a codec promises, as tests: subclass `CodecTests` in your own test suite."""

import io
import json
import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from runstore.codecs import Codec, Encoded, Pickling, codec_named
from runstore.containers import Header, arrow_file, open_arrow
from runstore.context import PicklePolicy
from runstore.errors import CorruptObjectError, UnsafePickleError
from runstore.testing._same import assert_same

__all__ = ["CodecTests"]

_REF = "tests/codec/value"


class CodecTests(ABC):
    """The contract of `runstore.codecs.Codec`.

        class TestMyCodec(CodecTests):
            codec = MyCodec()

            @classmethod
            def values(cls):
                return {"empty": Thing(), "usual": Thing(1, 2)}

    A codec must keep each of the values exactly, as `assert_same` sees it, or decline.

    Attributes:
        codec: The codec, or its name if it is registered.
        zero_copy: Whether encoding and decoding share the memory of large buffers;
            if so, `large` gives a value to see it with.
    """

    codec: ClassVar[Codec | str]
    zero_copy: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def values(cls) -> dict[str, Any]:
        """Values that are kept without pickle, by a name for the report; new at each call."""

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        """Values that are kept with the help of pickle; new at each call."""
        return {}

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        """Values of the codec's types that it declines, as it would change them."""
        return {}

    @classmethod
    def large(cls) -> Any:
        """A value of at least 8 MiB, if the codec is `zero_copy`."""
        raise NotImplementedError

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        """Values whose Arrow types another reader (``polars``, ``pandas``) does not know."""
        return {}

    def assert_same(self, expected: Any, actual: Any) -> None:
        """Assert that a value has come back; `runstore.testing.assert_same` unless replaced."""
        assert_same(expected, actual)

    def change(self, value: Any) -> bool:
        """Write to *value*, in place; False if its type has no way to do that."""
        return False

    # Machinery ---------------------------------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that asks for a name once per value."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", list(_catalogue(type(self))))

    def value(self, name: str) -> Any:
        """The value of that name, the same object in all tests."""
        return _catalogue(type(self))[name]

    def for_each(self, check: Callable[[str, Any], None]) -> None:
        """Call *check* with the name of each value and the value; report every failure."""
        failures = []
        for name, value in _catalogue(type(self)).items():
            try:
                check(name, value)
            except Exception as exc:  # noqa: BLE001 - raised again, all together
                exc.add_note(f"the value is {name!r}")
                failures.append(exc)
        if failures:
            raise ExceptionGroup("some of the values", failures)

    def encode(self, value: Any, policy: PicklePolicy = "allow") -> Encoded | None:
        """Encode *value* under a pickle policy."""
        return self._codec.encode(value, Pickling(policy, _REF))

    def written(self, value: Any, policy: PicklePolicy = "allow") -> bytes:
        """Return the whole object that *value* is stored as."""
        encoded = self.encode(value, policy)
        assert encoded is not None, "the codec declines the value"
        return self.file(encoded)

    def file(self, encoded: Encoded) -> bytes:
        """Return the whole object that holds *encoded*."""
        header = Header(
            namespace="tests",
            run="codec",
            name="value",
            type="builtins.object",
            codec=self._codec.name,
            codec_version=self._codec.version,
            created_at=datetime(2024, 5, 1, tzinfo=UTC),
            write_id="0",
            spec=encoded.spec,
        )
        parts = arrow_file(encoded.schema, encoded.batches, header, nbytes=encoded.nbytes)
        return b"".join(bytes(part) for part in parts)

    def read(self, data: bytes | bytearray, policy: PicklePolicy = "allow") -> Any:
        """Decode a whole object, on memory of its own."""
        opened = open_arrow(bytearray(data) if isinstance(data, bytes) else data, _REF)
        if opened.header is None:
            return opened.table()  # so it is taken for another program's file
        return self._codec.decode(opened, opened.header.spec, Pickling(policy, _REF))

    @property
    def _codec(self) -> Codec:
        return codec_named(self.codec) if isinstance(self.codec, str) else self.codec

    # The contract ------------------------------------------------------------------------------

    def test_keeps_the_value(self, name: str) -> None:
        """What was encoded comes back the same, to the last bit and type."""
        value = self.value(name)
        self.assert_same(value, self.read(self.written(value)))

    def test_leaves_the_values_alone(self) -> None:
        """Encoding does not change a value."""
        fresh = _fresh(type(self))

        def check(name: str, value: Any) -> None:
            self.encode(value)
            self.assert_same(fresh[name], value)

        self.for_each(check)

    def test_specs_are_json(self) -> None:
        """A spec survives JSON, in which it is stored."""

        def check(name: str, value: Any) -> None:
            encoded = self.encode(value)
            assert encoded is not None
            assert_same(encoded.spec, json.loads(json.dumps(encoded.spec)))

        self.for_each(check)

    def test_batches_have_the_schema(self) -> None:
        """Every batch is valid Arrow of the schema that is announced."""

        def check(name: str, value: Any) -> None:
            encoded = self.encode(value)
            assert encoded is not None
            for batch in encoded.batches:
                assert encoded.schema.equals(batch.schema, check_metadata=True)
                batch.validate(full=True)

        self.for_each(check)

    def test_writing_stays_private(self) -> None:
        """What is read can be written to, and that changes no other reader's value."""

        def check(name: str, value: Any) -> None:
            stored = self.written(value)
            mine, other = self.read(stored), self.read(stored)
            if self.change(mine):
                self.assert_same(value, other)
                self.assert_same(value, self.read(stored))

        self.for_each(check)

    @pytest.mark.parametrize("reader", ["pyarrow", "polars", "pandas"])
    def test_others_can_open_it(self, reader: str) -> None:
        """Any Arrow reader opens the object and finds as many rows and columns."""
        if find_spec(reader) is None:
            pytest.skip(f"{reader} is not installed")
        unreadable = self.unreadable().get(reader, set())

        def check(name: str, value: Any) -> None:
            encoded = self.encode(value)
            assert encoded is not None
            columns, rows = _READERS[reader](self.written(value))
            assert columns <= len(encoded.schema)  # pandas makes an index of some
            if columns:
                assert rows == sum(batch.num_rows for batch in encoded.batches)

        self.for_each(lambda name, value: None if name in unreadable else check(name, value))

    def test_declines_what_it_would_change(self) -> None:
        """A value that would come back different is left to the next codec."""
        for name, value in self.inexact().items():
            assert self.encode(value) is None, name

    def test_pickles_only_what_it_must(self) -> None:
        """With pickle denied, the plain values are kept and the others refused."""
        for value in self.values().values():
            self.assert_same(value, self.read(self.written(value, "deny"), "deny"))
        for name, value in self.pickled().items():
            stored = self.written(value)
            with pytest.raises(UnsafePickleError):
                self.encode(value, "deny")
                pytest.fail(name)
            with pytest.raises(UnsafePickleError):
                self.read(stored, "deny")

    def test_shares_memory(self) -> None:
        """Neither way copies a large value."""
        if not self.zero_copy:
            return
        value = self.large()
        stored = bytearray(self.written(value))
        assert len(stored) >= 8 << 20
        assert _allocated(lambda: self.encode(value)) < len(stored) // 8
        assert _allocated(lambda: self.read(stored)) < len(stored) // 8

    def test_finds_every_flipped_byte(self) -> None:
        """Wherever a byte is changed, the damage is found."""
        stored = self.written(self._small())
        for mask in (0xFF, 0x01, 0x20):
            for at in range(len(stored)):
                damaged = bytearray(stored)
                damaged[at] ^= mask
                with pytest.raises(CorruptObjectError):
                    self.read(damaged)

    def test_finds_every_truncation(self) -> None:
        """However much of the end is missing, it is found."""
        stored = self.written(self._small())
        for length in range(len(stored)):
            with pytest.raises(CorruptObjectError):
                self.read(stored[:length])

    def _small(self) -> Any:
        return next(iter(_catalogue(type(self)).values()))


@cache
def _catalogue(tests: type[CodecTests]) -> dict[str, Any]:
    return tests.values() | tests.pickled()


@cache
def _fresh(tests: type[CodecTests]) -> dict[str, Any]:
    return tests.values() | tests.pickled()


def _allocated(action: Callable[[], Any]) -> int:
    """Return how many bytes *action* needs at its peak, NumPy's and Arrow's taken together."""
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    tracemalloc.start()
    try:
        kept = action()
        peak = tracemalloc.get_traced_memory()[1]
        return int(peak + pool.bytes_allocated() - before)
    finally:
        tracemalloc.stop()
        del kept


def _with_pyarrow(data: bytes) -> tuple[int, int]:
    table = pa.ipc.open_file(data).read_all()
    table.validate(full=True)
    return table.num_columns, table.num_rows


def _with_polars(data: bytes) -> tuple[int, int]:
    import polars as pl

    frame = pl.read_ipc(io.BytesIO(data))
    return frame.width, frame.height


def _with_pandas(data: bytes) -> tuple[int, int]:
    import pandas as pd

    frame = pd.read_feather(io.BytesIO(data))
    return frame.shape[1], frame.shape[0]


_READERS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "pyarrow": _with_pyarrow,
    "polars": _with_polars,
    "pandas": _with_pandas,
}
