"""Metaflow's plug-in: artifacts that are more than a few plain values go to the store.

``import runstore.integrations.metaflow`` in the file of the flow lets it do so; and
``@exit_hook(on_success=[RUN_ENDED], on_error=[RUN_ENDED])`` lets the record of the run say how it
has ended.
"""

from typing import Any

from metaflow.datastore.artifacts.serializer import (
    ArtifactSerializer,
    SerializationFormat,
    SerializationMetadata,
    SerializedBlob,
    SerializerStore,
)

from runstore.errors import CorruptObjectError, InvalidRequestError
from runstore.integrations._carried import Carried, is_small
from runstore.integrations._ended import run_ended

__all__ = ["RUN_ENDED", "RunstoreSerializer", "flow_ended"]

_ENCODING = "runstore-ref-v1"

RUN_ENDED = "runstore.integrations.metaflow.flow_ended"
"""For ``@exit_hook``, on success and on error."""


class RunstoreSerializer(ArtifactSerializer):  # type: ignore[misc] # Metaflow is not installed here
    """Stores artifacts, any value exactly, and gives Metaflow a few hundred bytes that name them.

    An artifact is an object of the run, ``metaflow/<id>``. Numbers, short texts and small
    containers of them stay in Metaflow, and what is Metaflow's own. The store is that of
    ``RUNSTORE_URL``.
    """

    TYPE = "runstore"
    PRIORITY = 100

    @classmethod
    def can_serialize(cls, obj: Any) -> bool:
        """Return whether it is worth an object."""
        root = type(obj).__module__.partition(".")[0]
        return root != "metaflow" and not is_small(obj)

    @classmethod
    def can_deserialize(cls, metadata: Any) -> bool:
        """Return whether `serialize` has made it."""
        return bool(metadata.encoding == _ENCODING)

    @classmethod
    def serialize(
        cls,
        obj: Any,
        format: Any = SerializationFormat.STORAGE,  # noqa: A002 - Metaflow's name
    ) -> Any:
        """Store *obj*, and return what Metaflow keeps.

        Raises:
            InvalidRequestError: Metaflow wants text for a command line, and no artifact.
            RunStoreError: As `runstore.object_store.put`.
        """
        _check(format)
        text = Carried.of(obj, "metaflow").as_json().encode()
        known = SerializationMetadata(str(type(obj)), len(text), _ENCODING, {})
        return [SerializedBlob(text, is_reference=False)], known

    @classmethod
    def deserialize(
        cls,
        data: Any,
        metadata: Any = None,
        format: Any = SerializationFormat.STORAGE,  # noqa: A002 - Metaflow's name
    ) -> Any:
        """Return the value that `serialize` has stored.

        Raises:
            CorruptObjectError: It is not what `serialize` has returned.
            ObjectNotFoundError: It was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        _check(format)
        if not data:
            raise CorruptObjectError("this artifact of Metaflow is empty, and names no object")
        return Carried.read(bytes(data[0]), "artifact of Metaflow").open()


def _check(form: Any) -> None:
    if form != SerializationFormat.STORAGE:
        raise InvalidRequestError(
            "Metaflow wants this artifact as text for a command line, and a reference is none: "
            "put the value, and pass its name"
        )


def flow_ended(run: Any) -> None:
    """Note how a flow has ended; for ``@exit_hook``, by its name `RUN_ENDED`.

    Args:
        run: The run of Metaflow.
    """
    error = None if run.successful else "a step has failed: Metaflow's logs say why"
    flow, _, name = run.pathspec.partition("/")
    run_ended(flow, name, "failed" if error else "finished", error)


# What Metaflow does itself with the serializers of its extensions; a second time changes nothing.
SerializerStore.bootstrap_entries(
    [(RunstoreSerializer.TYPE, f"{__name__}.{RunstoreSerializer.__name__}")], source="runstore"
)
