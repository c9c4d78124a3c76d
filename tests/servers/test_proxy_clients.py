"""Each client that the library is compared with works through the proxy, signatures included."""

import dataclasses
from collections import Counter

import pytest
from tests.servers.proxy import FaultProxy

BODY = bytes(range(256)) * 1024


@pytest.mark.parametrize("body", [b"", b"1", BODY * 2], ids=len)
def test_boto3_passes(s3_server, body):
    """Signed requests and their checksums reach the server as they were sent."""
    with FaultProxy(s3_server.endpoint) as proxy:
        server = dataclasses.replace(s3_server, endpoint=proxy.endpoint)
        client, bucket = server.client(), server.new_bucket()
        client.put_object(Bucket=bucket, Key="a b/é", Body=body)
        assert body == client.get_object(Bucket=bucket, Key="a b/é")["Body"].read()
        (entry,) = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert "a b/é" == entry["Key"]
        client.delete_object(Bucket=bucket, Key="a b/é")
    assert Counter(PUT=2, GET=2, DELETE=1) == proxy.counts()


def test_s3fs_passes(s3_server):
    """A multipart upload and its parallel, concurrent ranges pass."""
    import s3fs

    bucket, body = s3_server.new_bucket(), BODY * 48
    with FaultProxy(s3_server.endpoint) as proxy:
        fs = s3fs.S3FileSystem(
            key=s3_server.key,
            secret=s3_server.secret,
            endpoint_url=proxy.endpoint,
            skip_instance_cache=True,
        )
        fs.pipe_file(f"{bucket}/k", body, chunksize=5 * 2**20)
        assert body == fs.cat_file(f"{bucket}/k")
    assert 2 < proxy.counts()["PUT"]


def test_obstore_passes(s3_server):
    """A multipart upload and ranges pass."""
    import obstore.store

    bucket, body = s3_server.new_bucket(), BODY * 48
    with FaultProxy(s3_server.endpoint) as proxy:
        store = obstore.store.S3Store(
            bucket,
            endpoint=proxy.endpoint,
            access_key_id=s3_server.key,
            secret_access_key=s3_server.secret,
            region=s3_server.region,
            client_options={"allow_http": True},
        )
        obstore.put(store, "k", body, chunk_size=5 * 2**20)
        assert body == bytes(obstore.get(store, "k").bytes())
        assert body[5:9] == bytes(obstore.get_range(store, "k", start=5, end=9))
        store = None  # its idle connections close before the proxy does
    assert "bytes=5-8" == proxy.requests[-1].headers["range"]
