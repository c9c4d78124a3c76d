"""ZenML's plug-in: a materializer whose artifacts are references to objects of the store.

``@step(output_materializers=RunstoreMaterializer)``
"""

from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from runstore.integrations._carried import Carried

__all__ = ["RunstoreMaterializer"]

_FILE = "runstore-ref.json"


class RunstoreMaterializer(BaseMaterializer):  # type: ignore[misc] # ZenML is not installed here
    """Stores artifacts, any value exactly, and gives ZenML a few hundred bytes that name them.

    An artifact is an object of the run, ``zenml/<id>``. The store is that of ``RUNSTORE_URL``.
    It is used where a step names it, and for no type by itself.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (object,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[Any] = ArtifactType.DATA
    SKIP_REGISTRATION: ClassVar[bool] = True

    def save(self, data: Any) -> None:
        """Store *data*, and write what ZenML keeps.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        text = Carried.of(data, "zenml").as_json()
        with self.artifact_store.open(f"{self.uri}/{_FILE}", "w") as file:
            file.write(text)

    def load(self, data_type: type[Any]) -> Any:
        """Return the value that `save` has stored.

        Raises:
            CorruptObjectError: What ZenML keeps is not what `save` has written.
            ObjectNotFoundError: It was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        with self.artifact_store.open(f"{self.uri}/{_FILE}", "r") as file:
            return Carried.read(file.read(), "artifact of ZenML").open()
