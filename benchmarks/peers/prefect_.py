"""Prefect's result persistence, with its default serializer, on local files or an S3 bucket."""

import os
from typing import Any
from urllib.parse import urlsplit

from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.serializers import PickleSerializer

requires = ("prefect==3.8.8", "prefect-aws==0.7.12", "pandas==3.1.1", "pyarrow==26.0.1")

label = "Prefect results"
guarantees = "not atomic on disk, no digest, exact, runs code when read (base64 of cloudpickle)"
lacks = "atomic replace, digest, loading without code execution"


def open_at(root: str) -> Any:
    return ResultStore(result_storage=_storage(root), serializer=PickleSerializer())


def put(handle: Any, key: str, value: Any) -> None:
    handle.write(value, key=key)


def get(handle: Any, key: str) -> Any:
    handle.cache.clear()  # or what this process has put would not be read
    return handle.read(key).result


def delete(handle: Any, key: str) -> None:
    path = handle.result_storage._resolve_path(key)
    if isinstance(handle.result_storage, LocalFileSystem):
        path.unlink()
        return
    storage = handle.result_storage
    client = storage.credentials.get_s3_client()
    client.delete_object(Bucket=storage.bucket_name, Key=path)


def _storage(root: str) -> Any:
    if not root.startswith("s3://"):
        return LocalFileSystem(basepath=root)
    from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

    parts = urlsplit(root)
    credentials = AwsCredentials(
        aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region_name=os.environ["AWS_REGION"],
        aws_client_parameters=AwsClientParameters(endpoint_url=os.environ["AWS_ENDPOINT_URL"]),
    )
    folder = parts.path.strip("/")
    return S3Bucket(bucket_name=parts.netloc, bucket_folder=folder, credentials=credentials)
