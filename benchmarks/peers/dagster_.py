"""Dagster's IO managers for files and for S3, both with pickle."""

import os
from typing import Any
from urllib.parse import urlsplit

import dagster
from dagster_aws.s3 import S3PickleIOManager, S3Resource

requires = ("dagster==1.13.27", "dagster-aws==0.29.27", "pandas==3.1.1", "pyarrow==26.0.1")

label = "Dagster IO manager"
guarantees = "not atomic on disk, no digest, exact, runs code when read, writable"
lacks = "atomic replace on disk, digest, loading without code execution"


def open_at(root: str) -> Any:
    if not root.startswith("s3://"):
        manager = dagster.FilesystemIOManager(base_dir=root)
        return manager.create_io_manager(dagster.build_init_resource_context()), root
    parts = urlsplit(root)
    s3 = S3Resource(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    manager = S3PickleIOManager(s3_resource=s3, s3_bucket=parts.netloc, s3_prefix="dagster")
    return manager.inner_io_manager(), root


def put(handle: Any, key: str, value: Any) -> None:
    handle[0].handle_output(_output(key), value)


def get(handle: Any, key: str) -> Any:
    context = dagster.build_input_context(
        upstream_output=_output(key), dagster_type=dagster.PythonObjectDagsterType(object)
    )
    return handle[0].load_input(context)


def delete(handle: Any, key: str) -> None:
    handle[0].unlink(handle[0]._get_path(_output(key)))


def _output(key: str) -> Any:
    return dagster.build_output_context(step_key="stage", name=key, run_id="run")
