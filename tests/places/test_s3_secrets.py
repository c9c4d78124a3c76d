"""Neither key nor secret nor token is in any log, error or traceback, on both engines."""

import logging
import os
import traceback

import pytest
from tests.places.s3_ import ENGINES
from tests.servers.recorder import Recorder

from runstore import errors
from runstore.places._s3 import S3Backend

WORDS = ("KEY-9f3b1c", "SECRET-9f3b1c", "TOKEN-9f3b1c", "ROLE", "role-secret", "role-token")
OPTIONS = {"key": WORDS[0], "secret": WORDS[1], "token": WORDS[2]}
CONFIG = f"""
[profile lab]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = base
[profile base]
aws_access_key_id = {WORDS[0]}
aws_secret_access_key = {WORDS[1]}
aws_session_token = {WORDS[2]}
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with Recorder(tmp_path) as running:
        yield running


def quoting(key, token):
    """Refuse as AWS does, which repeats what the request was signed with."""
    told = f"<AWSAccessKeyId>{key}</AWSAccessKeyId><Token-0>{token}</Token-0>"
    body = f"<Error><Code>InvalidToken</Code><Message>not valid</Message>{told}</Error>"
    return lambda method, path: (400, {"Content-Type": "application/xml"}, body.encode())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["options", "environment", "a role"])
def test_no_secret_is_told(engine, way, server, caplog, monkeypatch, tmp_path):
    """At DEBUG, with a put that succeeds and one that is refused by an answer with the secrets."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "aiobotocore", "s3fs", "urllib3", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    options = {"endpoint_url": server.endpoint}
    if way == "options":
        options |= OPTIONS
    elif way == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", WORDS[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WORDS[1])
        monkeypatch.setenv("AWS_SESSION_TOKEN", WORDS[2])
    else:
        (tmp_path / "config").write_text(CONFIG)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
        options["profile"] = "lab"
    backend = S3Backend("s3://bucket/p", engine=engine, timeout=30, options=options)
    backend.put("a.json", [b"x"])
    put = server.requests[-1]
    assert put.key in WORDS
    server.answer = quoting(put.key, put.token)
    with pytest.raises(errors.AccessDeniedError) as caught:
        backend.get("a.json")
    told = [record.getMessage() for record in caplog.records]
    told += [record.exc_text or "" for record in caplog.records]
    told += traceback.format_exception(caught.value)
    told += [repr(backend), repr(vars(backend).get("_mine"))]
    assert [] == [(word, text) for text in told for word in WORDS if word in text]


def test_other_users_of_botocore_keep_their_log(server, caplog):
    """What another client of this process logs is not held back."""
    import boto3

    backend = S3Backend(
        "s3://bucket/p", engine="s3fs", options=OPTIONS | {"endpoint_url": server.endpoint}
    )
    backend.put("a.json", [b"x"])
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="botocore")
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="OTHER",
        aws_secret_access_key="other",
    )
    client.put_object(Bucket="bucket", Key="x", Body=b"")
    assert [] != [r for r in caplog.records if r.name == "botocore.auth"]
