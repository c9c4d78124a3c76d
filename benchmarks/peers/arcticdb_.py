"""ArcticDB: a database of data frames, in LMDB files or on S3."""

import os
from typing import Any
from urllib.parse import urlsplit

import arcticdb

requires = ("arcticdb==6.28.2", "pandas==2.3.3")

label = "ArcticDB"
guarantees = "atomic versions, compressed (lz4), frames; other values pickled, read into memory"
lacks = "digest of every byte read, flat read time, run scope"


def open_at(root: str) -> Any:
    if not root.startswith("s3://"):
        # LMDB reserves its file's size; it must hold every version of every round.
        uri = f"lmdb://{root}?map_size=20GB"
    else:
        bucket, server = urlsplit(root).netloc, urlsplit(os.environ["AWS_ENDPOINT_URL"])
        uri = f"s3://{server.hostname}:{bucket}?port={server.port}&force_uri_lib_config=True"
        uri += f"&region={os.environ['AWS_REGION']}&aws_auth=false&ssl=false"
        uri += f"&access={os.environ['AWS_ACCESS_KEY_ID']}"
        uri += f"&secret={os.environ['AWS_SECRET_ACCESS_KEY']}"
    return arcticdb.Arctic(uri).get_library("benchmarks", create_if_missing=True)


def put(handle: Any, key: str, value: Any) -> None:
    handle.write(key, value)


def get(handle: Any, key: str) -> Any:
    return handle.read(key).data


def delete(handle: Any, key: str) -> None:
    handle.delete(key)
