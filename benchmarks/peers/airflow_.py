"""Airflow's XCom in object storage; the row of its database that points there is left out."""

import os
import tempfile
from typing import Any

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp())

from airflow.providers.common.io.xcom import backend
from airflow.sdk import ObjectStoragePath

requires = (
    "apache-airflow-core==3.3.2",
    "apache-airflow-providers-amazon==9.39.0",
    "apache-airflow-providers-common-io==1.11.0",
    "pandas==3.1.1",
    "pyarrow==26.0.1",
    "s3fs==2026.9.0",
)

label = "Airflow XCom storage"
guarantees = "not atomic on disk, no digest, frames as Parquet in JSON, read into memory"
lacks = "atomic replace, digest, exact dtypes and labels"


def open_at(root: str) -> Any:
    path = root if "://" in root else f"file://{root}"
    os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"] = path
    os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"] = "0"
    return {}


def put(handle: Any, key: str, value: Any) -> None:
    names = {"key": key, "task_id": key, "dag_id": "benchmarks", "run_id": "run"}
    handle[key] = backend.XComObjectStorageBackend.serialize_value(value, **names)


def get(handle: Any, key: str) -> Any:
    return backend.XComObjectStorageBackend.deserialize_value(_Row(handle[key]))


def delete(handle: Any, key: str) -> None:
    path = backend.BaseXCom.deserialize_value(_Row(handle.pop(key)))
    ObjectStoragePath(path).unlink()


class _Row:
    """What a database row would give."""

    def __init__(self, value: Any) -> None:
        self.value = value
