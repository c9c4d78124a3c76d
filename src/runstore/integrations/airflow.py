"""Airflow's plug-in: XComs whose values are in the store, with references in Airflow's database.

``AIRFLOW__CORE__XCOM_BACKEND=runstore.integrations.airflow.RunstoreXCom``
"""

from typing import Any

from airflow.sdk.bases.xcom import BaseXCom

from runstore.context.resolvers import run_name
from runstore.store import ObjectRef, ObjectStore

__all__ = ["RunstoreXCom"]

_KEY = "__runstore_ref__"
_SHORT = 256  # characters; shorter text stays in Airflow's database, as numbers do


class RunstoreXCom(BaseXCom):  # type: ignore[misc] # Airflow is not installed here
    """Stores what tasks return and push, any value exactly, as objects of the DAG run.

    An XCom is the object ``xcom/<task>/<map index>/<key>``, with ``%2E`` for a dot in the key;
    numbers and short texts stay in Airflow. The store is that of ``RUNSTORE_URL``, which the
    workers have to share.
    """

    @staticmethod
    def serialize_value(
        value: Any,
        *,
        key: str | None = None,
        task_id: str | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
    ) -> Any:
        """Store *value*, and return what Airflow keeps.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        small = value is None or type(value) in (bool, int, float)
        if small or (type(value) is str and len(value) <= _SHORT) or not (dag_id and run_id):
            return BaseXCom.serialize_value(value)
        view = ObjectStore().at(run=run_name(dag_id, run_id))
        # A key that looks as if it had an extension must not decide how the value is stored.
        last = str(key).replace("%", "%25").replace(".", "%2E")
        name = f"xcom/{task_id}/{-1 if map_index is None else map_index}/{last}"
        view.put(name, value)
        return BaseXCom.serialize_value({_KEY: str(view.ref(name))})

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """Return the value of an XCom.

        Raises:
            ObjectNotFoundError: It was removed from the store.
            RunStoreError: As `runstore.object_store.get`.
        """
        value = BaseXCom.deserialize_value(result)
        ref = _ref_in(value)
        return value if ref is None else ObjectStore().at().get(ref)

    @classmethod
    def purge(cls, xcom: Any, *args: Any) -> None:
        """Remove the object of an XCom that Airflow removes."""
        ref = _ref_in(BaseXCom.deserialize_value(xcom))
        if ref is None or ref.run is None:
            return
        ObjectStore().at(namespace=ref.namespace, run=ref.run).delete(ref.name, missing_ok=True)


def _ref_in(value: Any) -> ObjectRef | None:
    if isinstance(value, dict) and value.keys() == {_KEY}:
        return ObjectRef(value[_KEY])
    return None
