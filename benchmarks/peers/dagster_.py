"""Dagster's IO managers for files and for S3, both with pickle."""

import copy
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
    # A context takes 0.1 s to make, which a run pays once a step: here once, and then copied.
    output = dagster.build_output_context(step_key="stage", name="warm-up", run_id="run")
    kind = dagster.PythonObjectDagsterType(object)
    given = dagster.build_input_context(upstream_output=output, dagster_type=kind)
    output.log.setLevel("WARNING")
    given.log.setLevel("WARNING")
    return _manager(root), output, given


def put(handle: Any, key: str, value: Any) -> None:
    handle[0].handle_output(_output(handle, key), value)


def get(handle: Any, key: str) -> Any:
    context = copy.copy(handle[2])
    context._upstream_output = _output(handle, key)
    return handle[0].load_input(context)


def delete(handle: Any, key: str) -> None:
    handle[0].unlink(handle[0]._get_path(_output(handle, key)))


def _manager(root: str) -> Any:
    if not root.startswith("s3://"):
        manager = dagster.FilesystemIOManager(base_dir=root)
        return manager.create_io_manager(dagster.build_init_resource_context())
    s3 = S3Resource(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    bucket = urlsplit(root).netloc
    return S3PickleIOManager(s3_resource=s3, s3_bucket=bucket).inner_io_manager()


def _output(handle: Any, key: str) -> Any:
    context = copy.copy(handle[1])
    context._name = key
    return context
