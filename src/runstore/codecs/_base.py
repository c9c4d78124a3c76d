"""What a codec gives and takes: a value on one side, record batches and a spec on the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from runstore.buffers import Buffer

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from runstore.codecs._pickle import Pickling

__all__ = [
    "Codec",
    "Encoded",
    "Opened",
    "OpenedObject",
    "PluginCodec",
    "Projecting",
    "is_a",
    "type_name",
]


class Alike:
    """What all values have in common that differ in numbers alone.

    Attributes:
        schema, spec, version: As in `Encoded`.
        tried: Whether one of them was read again.
    """

    def __init__(self, schema: "pa.Schema", spec: dict[str, Any], version: int) -> None:
        self.schema = schema
        self.spec = spec
        self.version = version
        self.tried = False


@dataclass(slots=True)
class Encoded:
    """A value as record batches that share its memory. Not to be changed.

    Attributes:
        schema: The schema of every batch.
        batches: The data.
        spec: What `Codec.decode` needs besides the batches; JSON.
        rows, columns: Of a table; an array's length; else None.
        nbytes: Size of the data, in bytes.
        cell: The content of the only row, if there is one column of large text or large
            binary without nulls: small ones are written without *batches*.
        cut: Whether a batch may be stored as several of fewer rows.
        joins: Whether `Codec.decode` joins several batches to one value again, which is a copy. So
            a batch that is compressed, and copied anyway, may be stored as several.
        version: The lowest version of the codec that reads this; None for the codec's own. So
            what has not changed stays readable to older runstores.
        alike: What it has in common with others, if that is known.
        data: Then, the numbers of each column: small ones are written without *batches*.
        objects: Bytes that its parts take as objects, if that may be far more than *nbytes*;
            weighed as readers weigh it.
        tags: The kinds of small values that are in it, as JSON names them.
    """

    schema: "pa.Schema"
    batches: "Sequence[pa.RecordBatch]"
    spec: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None
    columns: int | None = None
    nbytes: int = 0
    cell: Buffer | None = None
    cut: bool = False
    joins: bool = False
    version: int | None = None
    alike: Alike | None = None
    data: Sequence[bytes] | None = None
    objects: int = 0
    tags: frozenset[str] = frozenset()


class Opened(Protocol):
    """A stored object, opened; what `runstore.containers.Stored` looks like to a codec."""

    data: Buffer
    ref: str
    keeps_nulls: bool
    """Whether the slots of nulls hold what the codec put there."""

    @property
    def kind(self) -> object | None:
        """What all objects have in common that differ from this in numbers alone, if known."""
        ...

    @property
    def cell(self) -> memoryview | None:
        """The content of the only row of a small object of one cell; None for others."""
        ...

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the batches."""
        ...

    @property
    def num_batches(self) -> int:
        """How many batches there are."""
        ...

    def batch(self, index: int) -> "pa.RecordBatch":
        """Open one batch, without copying its data."""
        ...

    def table(self) -> "pa.Table":
        """Open all batches as one table, without copying the data."""
        ...

    def array(self, buffer: Any, dtype: Any, count: int) -> "np.ndarray[Any, Any]":
        """View an Arrow buffer as a writable array."""
        ...

    def check_all(self) -> None:
        """Verify all of the object: for what is read whole, or is not a value in any bits.

        Raises:
            CorruptObjectError: It does not fit its digest.
        """
        ...


class OpenedObject(Opened, Protocol):
    """A whole stored object: unlike a part of one, it can be read in part."""

    def project(self, columns: Sequence[int]) -> "Opened":
        """Return the same object with these columns alone, in this order; no other is decoded."""
        ...


class Codec(Protocol):
    """One way to keep values of some types.

    The contract, as tests, is `runstore.testing.CodecTests`.
    """

    name: str
    """Stands in every object it writes; never reused for another layout."""

    version: int
    """Rises when the layout changes; `decode` reads all versions up to it."""

    def encode(self, value: Any, pickling: "Pickling") -> Encoded | None:
        """Return *value* as record batches, without copying large buffers.

        Returns:
            None if this codec cannot keep the value exactly; the next one is asked.

        Raises:
            UnsupportedValueError: No other codec could, either.
            UnsafePickleError: A part has to be pickled and the policy forbids it.
        """
        ...

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: "Pickling") -> Any:
        """Rebuild the value: equal to what was encoded, on the memory of *opened*.

        Raises:
            CorruptObjectError: Batches and spec do not fit each other.
            UnsafePickleError: A part is pickled and the policy forbids loading it.
        """
        ...


class PluginCodec(Codec, Protocol):
    """A codec that says which types it is for."""

    types: tuple[str, ...]
    """``module.QualName`` of each type, exact; its module should import them late."""


@runtime_checkable
class Projecting(Protocol):
    """A codec of tables that can leave columns away."""

    def project(
        self, schema: "pa.Schema", spec: dict[str, Any], columns: list[Any]
    ) -> tuple[list[int], dict[str, Any]]:
        """Return which stored columns are needed for these, and the spec to decode them with.

        Raises:
            KeyError: There is no such column.
            TypeError: The value has no columns.
        """
        ...


def type_name(kind: type) -> str:
    """Return ``module.QualName`` of a type."""
    return f"{kind.__module__}.{kind.__qualname__}"


def is_a(kind: type, *names: str) -> bool:
    """Return whether a type is one of these names, or a subclass of one.

    By name, as the library may be half imported by another thread and lack what is asked for.
    """
    return any(type_name(base) in names for base in kind.__mro__)
