"""Another place or account than was asked for, on S3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cases._case import case
from tests.servers.recorder import Recorder

from runstore import ObjectStore
from runstore.errors import AccessDeniedError, BackendUnavailableError, SettingsError, StorageError

ENGINES = ("s3fs", "obstore")
KEYS = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
GIVEN = {"key": "GIVEN", "secret": "given-secret"}


@contextmanager
def server(folder: Path, name: str = "server") -> Iterator[Recorder]:
    """Run a recording server in an environment without proxies and certificates."""
    for variable in list(os.environ):
        if variable.startswith("SSL_") or variable.lower().endswith(("_proxy", "_ca_bundle")):
            del os.environ[variable]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    place = folder / name
    place.mkdir()
    with Recorder(place) as running:
        yield running


def put(url: str, engine: str, **options: object) -> None:
    ObjectStore(url, engine=engine, timeout=20, **options).at(namespace="n", run="r").put("x", 1)


@case("A1", "An explicit endpoint is asked, whatever the environment names")
def explicit_endpoint(folder: Path) -> None:
    with server(folder, "a") as a, server(folder, "b") as b:
        os.environ |= {**KEYS, "AWS_ENDPOINT_URL_S3": a.endpoint, "AWS_ENDPOINT_URL": a.endpoint}
        for engine in ENGINES:
            put("s3://b/p", engine, endpoint_url=b.endpoint, **GIVEN)
        assert [] == a.requests
        assert ["GIVEN", "GIVEN"] == [request.key for request in b.requests]


@case("A1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leads to AWS")
def ignored_endpoints(folder: Path) -> None:
    with server(folder) as aws:
        os.environ |= {
            **KEYS,
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            "HTTPS_PROXY": aws.endpoint,
            "AWS_CA_BUNDLE": str(aws.certificates),
        }
        for engine in ENGINES:
            put("s3://bucket/p", engine)
        assert {"https://bucket.s3.us-east-1.amazonaws.com/p/n/r/x.arrow"} == {
            request.url for request in aws.requests
        }


@case("A1", "What obstore alone would read changes nothing, or is refused")
def variables_of_one_engine(folder: Path) -> None:
    with server(folder) as aws:
        os.environ |= {
            **KEYS,
            "AWS_S3_EXPRESS": "true",
            "AWS_UNSIGNED_PAYLOAD": "true",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_CONDITIONAL_PUT": "disabled",
        }
        for engine in ENGINES:
            put("s3://bucket/p", engine, endpoint_url=aws.endpoint)
        assert {f"{aws.endpoint}/bucket/p/n/r/x.arrow"} == {request.url for request in aws.requests}
        assert {"ENV"} == {request.key for request in aws.requests}
        assert not any(
            "UNSIGNED" in request.headers["x-amz-content-sha256"] for request in aws.requests
        )
        for name, value in (
            ("AWS_SERVER_SIDE_ENCRYPTION", "AES256"),
            ("AWS_CHECKSUM_ALGORITHM", "sha256"),
        ):
            os.environ[name] = value
            with pytest.raises(SettingsError, match=f"{name} is set"):
                put("s3://bucket/p", "obstore", endpoint_url=aws.endpoint)
            put("s3://bucket/p", "s3fs", endpoint_url=aws.endpoint)
            del os.environ[name]
            assert not any("encryption" in name for name in aws.requests[-1].headers)


@case("A2", "The environment's keys are stronger than AWS_PROFILE, an explicit profile than both")
def order_of_credentials(folder: Path) -> None:
    config = folder / "config"
    config.write_text(
        "[profile lab]\nregion = eu-west-1\naws_access_key_id = LAB\naws_secret_access_key = s\n"
    )
    with server(folder) as aws:
        os.environ |= {**KEYS, "AWS_PROFILE": "lab", "AWS_CONFIG_FILE": str(config)}
        for engine in ENGINES:
            put("s3://bucket/p", engine, endpoint_url=aws.endpoint)
            put("s3://bucket/p", engine, endpoint_url=aws.endpoint, profile="lab")
        assert ["ENV", "LAB"] * 2 == [request.key for request in aws.requests]


@case("A3", "Dotted buckets, China and FIPS have the right hosts, and own certificates are trusted")
def hosts_of_aws(folder: Path) -> None:
    with server(folder) as aws:
        os.environ |= {**KEYS, "HTTPS_PROXY": aws.endpoint, "AWS_CA_BUNDLE": str(aws.certificates)}
        for engine in ENGINES:
            put("s3://my.bucket/p", engine)
            put("s3://bucket/p", engine, client_kwargs={"region_name": "cn-north-1"})
            os.environ["AWS_USE_FIPS_ENDPOINT"] = "true"
            put("s3://bucket/p", engine)
            del os.environ["AWS_USE_FIPS_ENDPOINT"]
        assert [
            "https://s3.us-east-1.amazonaws.com/my.bucket/p/n/r/x.arrow",
            "https://bucket.s3.cn-north-1.amazonaws.com.cn/p/n/r/x.arrow",
            "https://bucket.s3-fips.us-east-1.amazonaws.com/p/n/r/x.arrow",
        ] * 2 == [request.url for request in aws.requests]


@case("A3", "REQUESTS_CA_BUNDLE and SSL_CERT_FILE are trusted by both engines")
def certificates(folder: Path) -> None:
    with server(folder) as aws:
        os.environ |= {**KEYS, "HTTPS_PROXY": aws.endpoint}
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            for engine in ENGINES:
                with pytest.raises(BackendUnavailableError, match="certificate is not trusted"):
                    put("s3://bucket/p", engine)
            os.environ[name] = str(aws.certificates)
            for engine in ENGINES:
                put("s3://bucket/p", engine)
            del os.environ[name]
        assert 4 == len(aws.requests)


@case("A3", "A bucket in another region is said at once, with the region")
def another_region(folder: Path) -> None:
    body = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"
    with server(folder) as aws:
        aws.answer = lambda method, path: (301, {"x-amz-bucket-region": "eu-west-1"}, body)
        for engine in ENGINES:
            with pytest.raises(StorageError, match="in the region eu-west-1"):
                put("s3://bucket/p", engine, endpoint_url=aws.endpoint, **GIVEN)
            assert len(aws.requests) <= 4


@case("A4", "A role is assumed in the region that only the options name")
def role_with_region(folder: Path) -> None:
    config = folder / "config"
    config.write_text(
        "[profile lab]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = s\n"
    )
    with server(folder) as aws:
        os.environ |= {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL_STS": aws.endpoint}
        for engine in ENGINES:
            options = {"profile": "lab", "client_kwargs": {"region_name": "eu-west-1"}}
            put("s3://bucket/p", engine, endpoint_url=aws.endpoint, **options)
            assert ("ROLE", "eu-west-1") == (aws.requests[-1].key, aws.requests[-1].region)


@case("A4", "Why a profile gives no credentials is said")
def cause_of_missing_credentials(folder: Path) -> None:
    config = folder / "config"
    config.write_text(
        "[profile sso]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n"
    )
    with server(folder) as aws:
        os.environ |= {"AWS_CONFIG_FILE": str(config)}
        for engine in ENGINES:
            with pytest.raises(AccessDeniedError, match=r"(?i)sso|token"):
                put("s3://bucket/p", engine, endpoint_url=aws.endpoint, profile="sso")


@case("A4", "Explicit keys need no profile, and a token alone is refused")
def keys_and_token(folder: Path) -> None:
    with server(folder) as aws:
        os.environ["AWS_PROFILE"] = "nobody"
        for engine in ENGINES:
            put("s3://bucket/p", engine, endpoint_url=aws.endpoint, **GIVEN)
            with pytest.raises(SettingsError, match="token was given alone"):
                put("s3://bucket/p", engine, endpoint_url=aws.endpoint, token="t")
            with pytest.raises(SettingsError, match="no AWS profile 'nobody'"):
                put("s3://bucket/p", engine, endpoint_url=aws.endpoint)


@case("A7", "A login page, an empty answer or another program is never an empty listing")
def strangers(folder: Path) -> None:
    page = b"<html><head><title>Login</title></head><body>Who?</body></html>"
    with server(folder) as proxy:
        for answer in (
            (200, {"Content-Type": "text/html"}, page),
            (200, {}, b""),
            (200, {"Content-Type": "application/json"}, b"{}"),
            (404, {"Content-Type": "text/html"}, page),
        ):
            proxy.answer = lambda method, path, answer=answer: answer
            for engine in ENGINES:
                store = ObjectStore(
                    "s3://b/p", engine=engine, timeout=2, endpoint_url=proxy.endpoint, **GIVEN
                )
                view = store.at(namespace="n", run="r")
                for verb in (view.list, store.runs, store.namespaces, lambda v=view: v.exists("x")):
                    with pytest.raises(BackendUnavailableError, match="is not S3"):
                        verb()
