"""Which host, which key and which region are asked, for each way to say so, on both engines."""

import os
from dataclasses import dataclass, field

import pytest
from tests.places.s3_ import ENGINES
from tests.servers.recorder import Recorder

from runstore.places._s3 import S3Backend

KEYS = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
GIVEN = {"key": "GIVEN", "secret": "given-secret"}
PROFILE_KEYS = "aws_access_key_id = LAB\naws_secret_access_key = lab-secret\n"
LAB = f"[profile lab]\nregion = eu-west-3\nendpoint_url = {{b}}\n{PROFILE_KEYS}"
# Requests to AWS go to a proxy of ours, whose certificates are trusted by this.
AWS = {"HTTPS_PROXY": "{a}", "AWS_CA_BUNDLE": "{ca}"}


@dataclass(frozen=True)
class Way:
    """One combination, and what it means.

    ``{a}`` and ``{b}`` are two servers, ``{A}`` is the first as ``HTTP://…``, ``{ca}`` the file of
    the authority of the first.
    """

    url: str
    key: str | None = "ENV"
    region: str = "us-east-1"
    token: str | None = None
    env: dict = field(default_factory=dict)
    config: str = ""
    options: dict = field(default_factory=dict)
    bucket: str = "bucket"


def region(name):
    return {"client_kwargs": {"region_name": name}}


WAYS = {
    "an explicit endpoint is stronger than AWS_ENDPOINT_URL_S3": Way(
        "{a}/bucket/p/x",
        env={**KEYS, "AWS_ENDPOINT_URL_S3": "{b}"},
        options={"endpoint_url": "{a}"},
    ),
    "an explicit endpoint is stronger than that of a profile": Way(
        "{a}/bucket/p/x",
        key="LAB",
        region="eu-west-3",
        env={"AWS_ENDPOINT_URL": "{b}"},
        config=LAB,
        options={"endpoint_url": "{a}", "profile": "lab"},
    ),
    "AWS_ENDPOINT_URL_S3 is stronger than AWS_ENDPOINT_URL": Way(
        "{a}/bucket/p/x",
        env={**KEYS, "AWS_ENDPOINT_URL": "{b}", "AWS_ENDPOINT_URL_S3": "{a}"},
    ),
    "AWS_ENDPOINT_URL is stronger than the profile": Way(
        "{a}/bucket/p/x",
        region="eu-west-3",
        env={**KEYS, "AWS_ENDPOINT_URL": "{a}", "AWS_PROFILE": "lab"},
        config=LAB,
    ),
    "a services section is stronger than the profile's endpoint": Way(
        "{a}/bucket/p/x",
        key="LAB",
        region="eu-west-3",
        config=LAB + "services = local\n[services local]\ns3 =\n  endpoint_url = {a}\n",
        options={"profile": "lab"},
    ),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leads to AWS": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={
            **KEYS,
            **AWS,
            "AWS_ENDPOINT_URL": "{b}",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        },
    ),
    "explicit keys are stronger than the environment's, token included": Way(
        "{a}/bucket/p/x",
        key="GIVEN",
        env={**KEYS, "AWS_SESSION_TOKEN": "env-token", "AWS_ENDPOINT_URL": "{a}"},
        options=GIVEN,
    ),
    "an explicit token is sent": Way(
        "{a}/bucket/p/x",
        key="GIVEN",
        token="given-token",
        env={"AWS_SESSION_TOKEN": "env-token", "AWS_ENDPOINT_URL": "{a}"},
        options={**GIVEN, "token": "given-token"},
    ),
    "the environment's keys come with its token": Way(
        "{a}/bucket/p/x",
        token="env-token",
        env={**KEYS, "AWS_SESSION_TOKEN": "env-token", "AWS_ENDPOINT_URL": "{a}"},
    ),
    "the environment's keys are stronger than AWS_PROFILE": Way(
        "{b}/bucket/p/x",
        region="eu-west-3",
        env={**KEYS, "AWS_PROFILE": "lab"},
        config=LAB,
    ),
    "an explicit profile is stronger than the environment's keys": Way(
        "{b}/bucket/p/x",
        key="LAB",
        region="eu-west-3",
        env={**KEYS, "AWS_SESSION_TOKEN": "env-token", "AWS_PROFILE": "other"},
        config=LAB,
        options={"profile": "lab"},
    ),
    "AWS_PROFILE alone": Way(
        "{b}/bucket/p/x", key="LAB", region="eu-west-3", env={"AWS_PROFILE": "lab"}, config=LAB
    ),
    "explicit keys need no profile, also if AWS_PROFILE names none": Way(
        "{a}/bucket/p/x",
        key="GIVEN",
        env={"AWS_PROFILE": "nobody"},
        options={**GIVEN, "endpoint_url": "{a}"},
    ),
    "a role is assumed in the region of the options": Way(
        "{a}/bucket/p/x",
        key="ROLE",
        region="ap-south-1",
        token="role-token",
        env={"AWS_ENDPOINT_URL_STS": "{a}"},
        config="[profile lab]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
        "source_profile = base\n[profile base]\n" + PROFILE_KEYS,
        options={"profile": "lab", "endpoint_url": "{a}", **region("ap-south-1")},
    ),
    "a credential_process is asked": Way(
        "{a}/bucket/p/x",
        key="PROGRAM",
        config="[profile lab]\ncredential_process = echo '"
        '{{"Version": 1, "AccessKeyId": "PROGRAM", "SecretAccessKey": "s"}}\'\n',
        options={"profile": "lab", "endpoint_url": "{a}"},
    ),
    "a container's credentials": Way(
        "{a}/bucket/p/x",
        key="MACHINE",
        token="machine-token",
        env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{a}/machine", "AWS_ENDPOINT_URL_S3": "{a}"},
    ),
    "anon signs nothing": Way(
        "{a}/bucket/p/x",
        key=None,
        region=None,
        env={**KEYS, "AWS_PROFILE": "nobody"},
        options={"anon": True, "endpoint_url": "{a}"},
    ),
    "an explicit region is stronger than AWS_REGION": Way(
        "{a}/bucket/p/x",
        region="eu-north-1",
        env={**KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "{a}"},
        options=region("eu-north-1"),
    ),
    "AWS_REGION is stronger than AWS_DEFAULT_REGION and the profile": Way(
        "{b}/bucket/p/x",
        key="LAB",
        region="eu-west-1",
        env={"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"},
        config=LAB,
        options={"profile": "lab"},
    ),
    "AWS names a bucket in the host": Way(
        "https://bucket.s3.eu-west-1.amazonaws.com/p/x",
        region="eu-west-1",
        env={**KEYS, **AWS, "AWS_DEFAULT_REGION": "eu-west-1"},
    ),
    "an access point has a host of its own, in the region of its name": Way(
        "https://point-123456789012.s3-accesspoint.eu-west-2.amazonaws.com/p/x",
        region="eu-west-2",
        env={**KEYS, **AWS, "AWS_REGION": "eu-west-1"},
        bucket="arn:aws:s3:eu-west-2:123456789012:accesspoint/point",
    ),
    "an access point of another partition, with FIPS": Way(
        "https://point-123456789012.s3-accesspoint-fips.us-gov-west-1.amazonaws.com/p/x",
        region="us-gov-west-1",
        env={**KEYS, **AWS, "AWS_USE_FIPS_ENDPOINT": "true"},
        bucket="arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint:point",
    ),
    "encryption by KMS with a bucket key, a storage class and tags": Way(
        "{a}/bucket/p/x",
        env=KEYS,
        options={
            "endpoint_url": "{a}",
            "s3_additional_kwargs": {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "key-1",
                "BucketKeyEnabled": True,
                "StorageClass": "STANDARD_IA",
                "Tagging": "team=data+science&stage=d%C3%A9v",
            },
        },
    ),
    "encryption by a key of the customer": Way(
        "{a}/bucket/p/x",
        env=KEYS,
        options={
            "endpoint_url": "{a}",
            "sse_customer_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        },
    ),
    "a bucket with dots stands in the path, as no certificate would hold": Way(
        "https://s3.us-east-1.amazonaws.com/my.own.bucket/p/x",
        env={**KEYS, **AWS},
        bucket="my.own.bucket",
    ),
    "China has a domain of its own": Way(
        "https://bucket.s3.cn-north-1.amazonaws.com.cn/p/x",
        region="cn-north-1",
        env={**KEYS, **AWS},
        options=region("cn-north-1"),
    ),
    "AWS_USE_FIPS_ENDPOINT": Way(
        "https://bucket.s3-fips.us-gov-west-1.amazonaws.com/p/x",
        region="us-gov-west-1",
        env={**KEYS, **AWS, "AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "us-gov-west-1"},
    ),
    "use_dualstack_endpoint of a profile": Way(
        "https://bucket.s3.dualstack.eu-west-3.amazonaws.com/p/x",
        key="LAB",
        region="eu-west-3",
        env=AWS,
        config=LAB.replace("endpoint_url = {b}", "use_dualstack_endpoint = true"),
        options={"profile": "lab"},
    ),
    "addressing_style of a profile": Way(
        "https://s3.us-east-1.amazonaws.com/bucket/p/x",
        key="LAB",
        env=AWS,
        config=f"[profile lab]\ns3 =\n  addressing_style = path\n{PROFILE_KEYS}",
        options={"profile": "lab"},
    ),
    "the bucket in the host of one's own server": Way(
        "http://bucket.minio.test:9000/p/x",
        env={**KEYS, "HTTP_PROXY": "{a}"},
        options={
            "endpoint_url": "http://minio.test:9000",
            "config_kwargs": {"s3": {"addressing_style": "virtual"}},
        },
    ),
    "an endpoint may have a path": Way(
        "{a}/minio/bucket/p/x", env=KEYS, options={"endpoint_url": "{a}/minio/"}
    ),
    "the scheme of an endpoint and a proxy may be in upper case": Way(
        "http://minio.test:9000/bucket/p/x",
        env={**KEYS, "HTTP_PROXY": "{A}"},
        options={"endpoint_url": "HTTP://minio.test:9000"},
    ),
    "for plain http nothing is said by certificates": Way(
        "{a}/bucket/p/x",
        env={**KEYS, "AWS_ENDPOINT_URL": "{A}", "SSL_CERT_FILE": "/", "SSL_CERT_DIR": "/nowhere"},
    ),
    "use_ssl=False is AWS by plain http": Way(
        "http://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "http_proxy": "{a}"},
        options={"use_ssl": False},
    ),
    "REQUESTS_CA_BUNDLE is trusted": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "HTTPS_PROXY": "{a}", "REQUESTS_CA_BUNDLE": "{ca}"},
    ),
    "every certificate of a file is trusted": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "HTTPS_PROXY": "{a}", "AWS_CA_BUNDLE": "{both}"},
    ),
    "SSL_CERT_FILE is trusted, and ALL_PROXY is a proxy": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "ALL_PROXY": "{a}", "SSL_CERT_FILE": "{ca}"},
    ),
    "ca_bundle of a profile is stronger than SSL_CERT_FILE": Way(
        "https://bucket.s3.eu-west-3.amazonaws.com/p/x",
        key="LAB",
        region="eu-west-3",
        env={"HTTPS_PROXY": "{a}", "SSL_CERT_FILE": "{other}"},
        config=LAB.replace("endpoint_url = {b}", "ca_bundle = {ca}"),
        options={"profile": "lab"},
    ),
    "an explicit verify is stronger than AWS_CA_BUNDLE": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "HTTPS_PROXY": "{a}", "AWS_CA_BUNDLE": "{other}"},
        options={"client_kwargs": {"verify": "{ca}"}},
    ),
    "verify=False trusts any certificate": Way(
        "https://bucket.s3.us-east-1.amazonaws.com/p/x",
        env={**KEYS, "HTTPS_PROXY": "{a}", "AWS_CA_BUNDLE": "{other}"},
        options={"client_kwargs": {"verify": False}},
    ),
    "NO_PROXY excepts a network": Way(
        "{a}/bucket/p/x",
        env={**KEYS, "HTTP_PROXY": "{b}", "NO_PROXY": "localhost, 127.0.0.0/8"},
        options={"endpoint_url": "{a}"},
    ),
    "what obstore alone would read says nothing": Way(
        "{a}/bucket/p/x",
        env={
            **KEYS,
            "AWS_ENDPOINT": "{b}",
            "AWS_BUCKET": "other",
            "AWS_TOKEN": "other-token",
            "AWS_S3_EXPRESS": "true",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_UNSIGNED_PAYLOAD": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
            "AWS_REQUEST_PAYER": "true",
            "AWS_CONDITIONAL_PUT": "disabled",
            "AWS_COPY_IF_NOT_EXISTS": "header: x: y",
            "AWS_PROXY_URL": "{b}",
            "AWS_DEFAULT_CONTENT_TYPE": "text/other",
            "AWS_USER_AGENT": "other",
        },
        options={"endpoint_url": "{a}"},
    ),
    "what botocore alone would read says nothing": Way(
        "{a}/bucket/p/x",
        env={
            **KEYS,
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_USE_DUALSTACK_ENDPOINT": "true",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
            "AWS_AUTH_SCHEME_PREFERENCE": "sigv4a",
            "AWS_DEFAULTS_MODE": "standard",
            "AWS_MAX_ATTEMPTS": "7",
            "AWS_SDK_UA_APP_ID": "other",
        },
        options={"endpoint_url": "{a}"},
    ),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Give two servers, each with an authority of its own."""
    with (
        Recorder(tmp_path_factory.mktemp("a")) as a,
        Recorder(tmp_path_factory.mktemp("b")) as b,
    ):
        yield a, b


@pytest.fixture
def reached(servers, tmp_path, monkeypatch):
    """Give a function that puts an object in an environment, and returns the put as it came."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    a, b = servers
    names = {"a": a.endpoint, "b": b.endpoint, "ca": a.certificates, "other": b.certificates}
    names["A"] = a.endpoint.replace("http", "HTTP", 1)
    names["both"] = tmp_path / "both.pem"
    names["both"].write_bytes(b.certificates.read_bytes() + a.certificates.read_bytes())

    def filled(given):
        if isinstance(given, dict):
            return {name: filled(value) for name, value in given.items()}
        return given.format(**names) if isinstance(given, str) else given

    def put(engine, way):
        for name, value in filled(way.env).items():
            monkeypatch.setenv(name, value)
        (tmp_path / "config").write_text(filled(way.config))
        a.requests.clear()
        b.requests.clear()
        backend = S3Backend(
            f"s3://{way.bucket}/p", engine=engine, timeout=30, options=filled(way.options)
        )
        backend.put("x", [b"value"])
        puts = [request for request in (*a.requests, *b.requests) if request.method == "PUT"]
        assert 1 == len(puts)
        return puts[0], filled(way.url)

    return put


@pytest.mark.parametrize("name", WAYS)
def test_the_right_server_is_asked_with_the_right_key(reached, name):
    """Host, path, key, token and region are what AWS says, and both engines send the same."""
    way, sent = WAYS[name], {}
    for engine in ENGINES:
        request, url = reached(engine, way)
        assert (url, way.key, way.token) == (request.url, request.key, request.token)
        assert (way.region if way.key else None) == request.region
        sent[engine] = _essence(request)
    assert sent["s3fs"] == sent["obstore"]


_OWN = frozenset(  # what clients say of themselves, and what signing makes of it
    {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "authorization", "x-amz-date"}
    | {"accept", "accept-encoding", "expect", "connection", "content-type", "content-length"}
    | {"content-md5", "x-amz-meta-runstore-write", "proxy-connection"}
)


def _essence(request):
    found = {name: value for name, value in request.headers.items() if name not in _OWN}
    if "x-amz-tagging" in found:  # the order of tags says nothing
        found["x-amz-tagging"] = "&".join(sorted(found["x-amz-tagging"].split("&")))
    return found
