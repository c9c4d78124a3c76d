"""Flyte's plug-in, for Flyte 2: values that go from task to task as references to objects.

A task that is annotated with `Stored` takes and returns any value. `store_values_of` lets all
values of some types go so, with their own annotations.
"""

from typing import Any

from flyte.types import TypeEngine, TypeTransformer
from flyteidl2.core import literals_pb2, types_pb2

from runstore.errors import CorruptObjectError
from runstore.integrations._carried import Carried
from runstore.store import ObjectRef

__all__ = ["Stored", "store_values_of"]

_FORMAT = "runstore"
_STORE = "runstore-store"  # in the metadata of a literal: the URL of the store


class Stored:
    """The annotation of a task's parameter or result that is any value, in the store."""


class _Transformer(TypeTransformer[Any]):  # type: ignore[misc] # Flyte is not installed here
    """Stores values, and gives Flyte a literal that names them.

    The literal is a blob of the format ``runstore``, whose URI is the reference. Its hash is the
    digest of the value, by which Flyte's cache finds equal inputs.
    """

    def __init__(self, kind: type[Any]) -> None:
        super().__init__(f"runstore {kind.__qualname__}", kind)

    def assert_type(self, t: type[Any], v: Any) -> None:
        """Any value has the type `Stored`."""
        if t is not Stored:
            super().assert_type(t, v)

    def get_literal_type(self, t: type[Any] | None = None) -> Any:
        """Return the type of the literals."""
        return types_pb2.LiteralType(blob=_blob_type())

    def guess_python_type(self, literal_type: Any) -> type[Any]:
        """Return `Stored` for what has our format.

        Raises:
            ValueError: It has another one.
        """
        if literal_type.HasField("blob") and literal_type.blob.format == _FORMAT:
            return Stored
        raise ValueError(f"{literal_type} is no reference of runstore")

    async def to_literal(self, python_val: Any, python_type: type[Any], expected: Any) -> Any:
        """Store a value and return its name.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        carried = Carried.of(python_val, "flyte")
        meta = literals_pb2.BlobMetadata(type=_blob_type())
        blob = literals_pb2.Blob(metadata=meta, uri=str(carried.ref))
        return literals_pb2.Literal(
            scalar=literals_pb2.Scalar(blob=blob),
            hash=carried.ref.digest,
            metadata={_STORE: carried.store},
        )

    async def to_python_value(self, lv: Any, expected_python_type: type[Any]) -> Any:
        """Return the value that a literal names.

        Raises:
            CorruptObjectError: It is no reference.
            ObjectNotFoundError: The object was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        uri, store = lv.scalar.blob.uri, lv.metadata.get(_STORE)
        if not store:
            raise CorruptObjectError(f"this literal of Flyte names no store: {uri!r}")
        return Carried(ObjectRef(uri), store).open()


def _blob_type() -> Any:
    single = types_pb2.BlobType.BlobDimensionality.SINGLE
    return types_pb2.BlobType(format=_FORMAT, dimensionality=single)


def store_values_of(*types: type[Any]) -> None:
    """Let values of these types go through the store; call it where the tasks are defined.

    Args:
        types: As they are in annotations of tasks, such as ``pandas.DataFrame``.
    """
    for kind in types:
        TypeEngine.register(_Transformer(kind))


store_values_of(Stored)
