"""The servers that S3 tests stand on."""

import dataclasses
from collections import Counter

import pytest


def test_each_server_stores_and_reads(s3_server):
    """An object comes back as it was put."""
    bucket = s3_server.new_bucket()
    s3_server.client().put_object(Bucket=bucket, Key="k", Body=b"value")
    assert b"value" == s3_server.client().get_object(Bucket=bucket, Key="k")["Body"].read()


def test_a_created_object_is_not_created_again(s3_server):
    """A server of the first kind keeps `If-None-Match: *`."""
    client, bucket = s3_server.client(), s3_server.new_bucket()
    client.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.put_object(Bucket=bucket, Key="k", Body=b"second", IfNoneMatch="*")
    assert 412 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_rclone_ignores_conditions(rclone_server):
    """The server that lies lets two creates of one key succeed."""
    client, bucket = rclone_server.client(), rclone_server.new_bucket()
    for body in (b"first", b"second"):
        client.put_object(Bucket=bucket, Key="k", Body=body, IfNoneMatch="*")
    assert b"second" == client.get_object(Bucket=bucket, Key="k")["Body"].read()


def test_seaweed_counts_requests(seaweed_server):
    """Each request about a bucket is counted by type and status."""
    client, bucket = seaweed_server.client(), seaweed_server.new_bucket()
    before = seaweed_server.requests(bucket)
    client.put_object(Bucket=bucket, Key="k", Body=b"value")
    client.get_object(Bucket=bucket, Key="k")["Body"].read()
    client.list_objects_v2(Bucket=bucket)
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket=bucket, Key="missing")
    expected = Counter(
        {("PUT", "200"): 1, ("GET", "200"): 1, ("LIST", "200"): 1, ("GET", "404"): 1}
    )
    assert expected == seaweed_server.requests(bucket) - before


def test_seaweed_has_room_for_many_buckets(seaweed_server):
    """Every test can have its own bucket."""
    buckets = [seaweed_server.new_bucket() for _ in range(10)]
    for bucket in buckets:
        seaweed_server.client().put_object(Bucket=bucket, Key="k", Body=b"value")
    assert 10 == len(set(buckets))


@pytest.mark.parametrize(("key", "secret"), [("test-key", "wrong"), ("stranger", "test-secret")])
def test_seaweed_refuses_a_wrong_key_or_secret(seaweed_server, key, secret):
    """Access denied can be tested."""
    bucket = seaweed_server.new_bucket()
    stranger = dataclasses.replace(seaweed_server, key=key, secret=secret).client()
    with pytest.raises(stranger.exceptions.ClientError) as caught:
        stranger.list_objects_v2(Bucket=bucket)
    assert 403 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_seaweed_does_not_create_a_bucket_unasked(seaweed_server):
    """A put into a bucket that was never created fails."""
    client = seaweed_server.client()
    with pytest.raises(client.exceptions.NoSuchBucket):
        client.put_object(Bucket="never-created", Key="k", Body=b"value")
