"""boto3: AWS's own client, with its transfer manager for what is large."""

import io
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

label = "boto3"
guarantees = "bytes only; an object is replaced whole, checksum on upload, read into new memory"
lacks = "everything but the bytes and atomic replace; a read is not checked"


def open_at(root: str) -> Any:
    parts = urlsplit(root)
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=32)
    return boto3.client("s3", config=config), parts.netloc, parts.path.strip("/")


def put(handle: Any, key: str, value: Any) -> None:
    client, bucket, prefix = handle
    client.upload_fileobj(io.BytesIO(memoryview(value)), bucket, f"{prefix}/{key}")


def get(handle: Any, key: str) -> Any:
    client, bucket, prefix = handle
    return client.get_object(Bucket=bucket, Key=f"{prefix}/{key}")["Body"].read()


def delete(handle: Any, key: str) -> None:
    client, bucket, prefix = handle
    client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")


def names(handle: Any) -> Any:
    client, bucket, prefix = handle
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]
