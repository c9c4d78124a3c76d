"""Flowdapt's object store, kept as artifacts: where runstore comes from."""

import os
from typing import Any

from flowdapt.compute import object_store

from benchmarks.peers._flowdapt import enter_run

requires = ("flowdapt==0.1.52", "pandas==3.1.1", "pyarrow==26.0.1", "s3fs==2026.9.0")

label = "Flowdapt artifact"
guarantees = "not atomic, no digest, exact, runs code when read, writable; not scoped by run"
lacks = "atomic replace, digest, loading without code execution, run scope"


def open_at(root: str) -> Any:
    enter_run()
    protocol, _, path = root.rpartition("://")
    if not protocol:
        return {"protocol": "file", "base_path": root}
    s3 = {
        "key": os.environ["AWS_ACCESS_KEY_ID"],
        "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
    }
    return {"protocol": protocol, "base_path": path, **s3}


def put(handle: Any, key: str, value: Any) -> None:
    object_store.put(
        key,
        value,
        namespace="benchmarks",
        strategy=object_store.Strategy.ARTIFACT,
        artifact_params=handle,
    )


def get(handle: Any, key: str) -> Any:
    return object_store.get(
        key,
        namespace="benchmarks",
        strategy=object_store.Strategy.ARTIFACT,
        artifact_params=handle,
    )


def delete(handle: Any, key: str) -> None:
    object_store.delete(
        key,
        namespace="benchmarks",
        strategy=object_store.Strategy.ARTIFACT,
        artifact_params=handle,
    )
