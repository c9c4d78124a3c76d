"""Metaflow's S3 client, which its datastore stands on; it knows bytes, so values are pickled."""

import os
import pickle
import tempfile
from typing import Any

os.environ["METAFLOW_S3_ENDPOINT_URL"] = os.environ.get("AWS_ENDPOINT_URL", "")

from metaflow import S3

requires = ("metaflow==2.19.39", "boto3==1.44.5", "pandas==3.1.1", "pyarrow==26.0.1")

label = "Metaflow S3"
guarantees = "an object is replaced whole, no digest, exact, runs code when read"
lacks = "digest, loading without code execution; passes through temporary files"


def open_at(root: str) -> Any:
    return S3(s3root=root, tmproot=tempfile.gettempdir()), root


def put(handle: Any, key: str, value: Any) -> None:
    handle[0].put(key, pickle.dumps(value, protocol=5))


def get(handle: Any, key: str) -> Any:
    return pickle.loads(handle[0].get(key).blob)


def delete(handle: Any, key: str) -> None:
    # It has no call for this.
    import boto3

    bucket, _, prefix = handle[1].removeprefix("s3://").partition("/")
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    boto3.client("s3", endpoint_url=endpoint).delete_object(Bucket=bucket, Key=f"{prefix}/{key}")
