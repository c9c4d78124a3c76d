"""What is said of each object that is written: storage class, tags, access, encryption."""

import base64
import pickle

import numpy as np
import pytest
from tests.places.s3_ import ENGINES, options

from runstore import ObjectStore, run_context
from runstore.errors import AccessDeniedError, SettingsError, StorageError
from runstore.places import open_backend

KEY = base64.b64encode(bytes(range(32))).decode()
LARGE = np.random.default_rng(1).random(3 << 20)  # 24 MiB: in parts, and copied by the server


def open_store(server, engine, bucket, **more):
    return ObjectStore(f"s3://{bucket}/p", engine=engine, **options(server), **more)


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_storage_class_and_tags_are_those_of_every_object(moto_server, engine):
    """Small, large and copied objects have them, as another client says."""
    bucket = moto_server.new_bucket()
    given = {"StorageClass": "STANDARD_IA", "Tagging": "team=data+science&stage=dev"}
    given |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k1", "BucketKeyEnabled": True}
    view = open_store(moto_server, engine, bucket, s3_additional_kwargs=given)
    view = view.at(namespace="dev", run="r1")
    view.put("small", 1)
    view.put("large", LARGE)
    view.copy("large", to_name="copy")
    client = moto_server.client()
    for name in ("small", "large", "copy"):
        where = {"Bucket": bucket, "Key": f"p/dev/r1/{name}.arrow"}
        found = client.head_object(**where)
        assert ("STANDARD_IA", "aws:kms") == (found["StorageClass"], found["ServerSideEncryption"])
        assert found["SSEKMSKeyId"].endswith("k1")
        tags = client.get_object_tagging(**where)["TagSet"]
        assert {"team": "data science", "stage": "dev"} == {t["Key"]: t["Value"] for t in tags}
    assert np.array_equal(LARGE, view.get("copy", verify=True))


def test_an_acl_is_set_by_s3fs(moto_server):
    """obstore has no call for it: s3fs is taken, unless obstore was asked for."""
    bucket = moto_server.new_bucket()
    given = {"s3_additional_kwargs": {"ACL": "public-read"}}
    store = open_store(moto_server, None, bucket, **given)
    store.at(namespace="dev", run="r1").put("x", 1)
    assert "via s3fs" in repr(store)
    grants = moto_server.client().get_object_acl(Bucket=bucket, Key="p/dev/r1/x.arrow")["Grants"]
    assert any("AllUsers" in grant["Grantee"].get("URI", "") for grant in grants)
    with pytest.raises(SettingsError, match="ACL"):
        open_store(moto_server, "obstore", bucket, **given).at(namespace="d", run="r").put("x", 1)


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_a_customers_key_is_needed_to_read(seaweed_server, engine):
    """With it everything works, also by the other engine; without it nothing can be read."""
    bucket = seaweed_server.new_bucket()
    view = open_store(seaweed_server, engine, bucket, sse_customer_key=KEY)
    view = view.at(namespace="dev", run="r1")
    view.put("small", [1, 2])
    view.put("small", [1, 2, 3], if_match=view.stat("small").version)
    view.put("large", LARGE)
    view.copy("large", to_name="copy")
    for other in ENGINES:
        raw = {"s3_additional_kwargs": {"SSECustomerKey": bytes(range(32))}}
        there = open_store(seaweed_server, other, bucket, **raw).at(namespace="dev", run="r1")
        assert [1, 2, 3] == there.get("small")
        assert np.array_equal(LARGE, there.get("large"))
        assert np.array_equal(LARGE, there.get("copy", verify=True))
        without = open_store(seaweed_server, other, bucket).at(namespace="dev", run="r1")
        with pytest.raises((StorageError, AccessDeniedError)):
            without.get("small", default=None)


def test_a_customers_key_stays_in_the_process(moto_server):
    """It is in no repr, address, pickle or context, however it was given."""
    bucket = moto_server.new_bucket()
    for given in ({"sse_customer_key": KEY}, {"s3_additional_kwargs": {"SSECustomerKey": KEY}}):
        store = open_store(moto_server, None, bucket, **given)
        with run_context(store=store) as ctx:
            store.put("x", 1)
        shown = [repr(store), repr(store.address), store.address.model_dump_json()]
        shown += [repr(pickle.dumps(store)), ctx.model_dump_json(), repr(store.backend._open())]
        assert not any(KEY in one or KEY[:20] in one for one in shown)
        raw = repr(bytes(range(32)))
        assert not any(raw in one for one in shown)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ACL": "everybody"}, "ACL is one of"),
        ({"StorageClass": "cold!"}, "STANDARD_IA"),
        ({"StorageClass": "DEEP_ARCHIVE"}, "GLACIER_IR"),
        ({"Tagging": "no"}, "team=data"),
        ({"Tagging": "a=1&a=2"}, "twice"),
        ({"Tagging": "&".join(f"t{i}=1" for i in range(11))}, "ten at most"),
        ({"BucketKeyEnabled": True}, "aws:kms"),
        ({"BucketKeyEnabled": "yes", "ServerSideEncryption": "aws:kms"}, "True or False"),
        ({"SSEKMSKeyId": "k"}, "aws:kms"),
        ({"SSECustomerAlgorithm": "AES256"}, "sse_customer_key"),
        ({"SSECustomerKey": "SENTINEL"}, "32 bytes"),
        ({"SSECustomerKey": KEY, "ServerSideEncryption": "AES256"}, "exclude"),
        ({"Metadata": {}}, "not understood"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(given, said):
    """The message names the option and the way out, and has no secret."""
    with pytest.raises(SettingsError, match=said) as caught:
        open_backend("s3://bucket", options={"s3_additional_kwargs": given})
    assert "SENTINEL" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_only_the_arn_of_an_access_point_is_a_bucket():
    """Its prefix stands behind its name; another ARN is refused."""
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/point"
    assert f"s3://{arn}/p/q" == open_backend(f"s3://{arn}/p/q/").url
    assert (
        f"s3://{arn}"
        == open_backend("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:point").url
    )
    for wrong in ("arn:aws:s3:::bucket", "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/x"):
        with pytest.raises(SettingsError, match="accesspoint/NAME"):
            open_backend(f"s3://{wrong}/p")
