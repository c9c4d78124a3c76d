"""Flyte's plug-in, for flytekit: values that go from task to task as references to objects.

A task that is annotated with `Stored` takes and returns any value but None and tuples, which
flytekit does not pass. `store_values_of` lets all values of some types go so, with their own
annotations.
"""

from typing import Any

from flytekit import FlyteContext, Literal
from flytekit.core.type_engine import TypeEngine, TypeTransformer
from flytekit.models.core.types import BlobType
from flytekit.models.literals import Blob, BlobMetadata, Scalar
from flytekit.models.types import LiteralType

from runstore.errors import CorruptObjectError
from runstore.integrations._carried import Carried
from runstore.store import ObjectRef

__all__ = ["Stored", "store_values_of"]

_FORMAT = "runstore"
_STORE = "runstore-store"  # in the metadata of a literal: the URL of the store


class Stored:
    """The annotation of a task's parameter or result that is any value, in the store."""


class _Transformer(TypeTransformer[Any]):  # type: ignore[misc] # flytekit is not installed here
    """Stores values, and gives Flyte a literal that names them.

    The literal is a blob of the format ``runstore``, whose URI is the reference. The value is an
    object of the run, ``flytekit/<id>``; in local executions, which have no run, of the namespace.
    """

    def __init__(self, kind: type[Any]) -> None:
        super().__init__(f"runstore {kind.__qualname__}", kind)

    def assert_type(self, t: type[Any], v: Any) -> None:
        """Any value has the type `Stored`."""
        if t is not Stored:
            super().assert_type(t, v)

    def get_literal_type(self, t: type[Any]) -> Any:
        """Return the type of the literals."""
        return LiteralType(blob=_blob_type())

    def guess_python_type(self, literal_type: Any) -> type[Any]:
        """Return `Stored` for what has our format.

        Raises:
            ValueError: It has another one.
        """
        if literal_type.blob is not None and literal_type.blob.format == _FORMAT:
            return Stored
        raise ValueError(f"{literal_type} is no reference of runstore")

    def to_literal(
        self, ctx: FlyteContext, python_val: Any, python_type: type[Any], expected: Any
    ) -> Any:
        """Store a value and return its name.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        carried = Carried.of(python_val, "flytekit")
        blob = Blob(metadata=BlobMetadata(type=_blob_type()), uri=str(carried.ref))
        return Literal(scalar=Scalar(blob=blob), metadata={_STORE: carried.store})

    def to_python_value(self, ctx: FlyteContext, lv: Any, expected_python_type: type[Any]) -> Any:
        """Return the value that a literal names.

        Raises:
            CorruptObjectError: It is no reference.
            ObjectNotFoundError: The object was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        uri, store = lv.scalar.blob.uri, (lv.metadata or {}).get(_STORE)
        if not store:
            raise CorruptObjectError(f"this literal of Flyte names no store: {uri!r}")
        return Carried(ObjectRef(uri), store).open()


def _blob_type() -> Any:
    return BlobType(format=_FORMAT, dimensionality=BlobType.BlobDimensionality.SINGLE)


def store_values_of(*types: type[Any]) -> None:
    """Let values of these types go through the store; call it where the tasks are defined.

    Args:
        types: As they are in annotations of tasks, such as ``pandas.DataFrame``.
    """
    TypeEngine.lazy_import_transformers()  # or flytekit would register its own for them later
    for kind in types:
        TypeEngine.register_additional_type(_Transformer(kind), kind, override=True)


store_values_of(Stored)
