"""What the tests of S3 share."""

import pytest

from runstore import ObjectStore
from runstore.places._s3 import S3Backend

ENGINES = ["s3fs", "obstore"]

# Where what a store does is tried: the places themselves are held to one contract elsewhere.
STORES = [
    pytest.param("memory", marks=pytest.mark.extended),
    "local",
    pytest.param("s3fs", marks=pytest.mark.extended),
    "obstore",
]


def options(server):
    return {
        "key": server.key,
        "secret": server.secret,
        "endpoint_url": server.endpoint,
        "client_kwargs": {"region_name": server.region},
    }


def open_backend(server, engine, bucket=None, timeout=30):
    url = f"s3://{bucket or server.new_bucket()}/p"
    return S3Backend(url, engine=engine, timeout=timeout, options=options(server))


def open_store(server, engine, bucket=None, timeout=30):
    url = f"s3://{bucket or server.new_bucket()}/p"
    return ObjectStore(url, engine=engine, timeout=timeout, **options(server))


def environment(server):
    """Give what another process needs in its environment to reach the server."""
    return {
        "AWS_ACCESS_KEY_ID": server.key,
        "AWS_SECRET_ACCESS_KEY": server.secret,
        "AWS_ENDPOINT_URL_S3": server.endpoint,
        "AWS_DEFAULT_REGION": server.region,
    }
