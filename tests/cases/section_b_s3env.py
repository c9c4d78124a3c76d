"""The wrong cause, or a foreign error, on S3."""

import os
from pathlib import Path

import pytest
from tests.cases._case import case
from tests.cases.section_a_s3env import ENGINES, GIVEN, server

from runstore import ObjectStore
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BulkError,
    RunStoreError,
    SettingsError,
    StorageFullError,
)

PATIENT = 600  # seconds: a case that waits for its store's timeout does not end in time


def fails(kind: type[RunStoreError], said: str, engine: str, **options: object) -> None:
    """Assert that put and list fail so, and that nobody says that something was written."""
    store = ObjectStore("s3://bucket/p", engine=engine, timeout=PATIENT, **options)
    view = store.at(namespace="n", run="r")
    for verb in (lambda: view.put("x", 1), lambda: view.get("x"), view.list):
        with pytest.raises(kind, match=said) as caught:
            verb()
        assert "may still" not in str(caught.value)


@case("B1", "A refused port and an unknown host are told apart, and nothing was written")
def unreached(folder: Path) -> None:
    with server(folder):
        for engine in ENGINES:
            endpoint = {"endpoint_url": "http://127.0.0.1:9", **GIVEN}
            fails(BackendUnavailableError, "nothing listens there", engine, **endpoint)
            endpoint = {"endpoint_url": "http://nosuch.invalid", **GIVEN}
            fails(BackendUnavailableError, "no host of that name", engine, **endpoint)


@case("B1", "An untrusted certificate, a proxy that refuses and a missing CA file are told at once")
def untrusted(folder: Path) -> None:
    with server(folder) as proxy:
        os.environ["HTTPS_PROXY"] = proxy.endpoint
        for engine in ENGINES:
            proxy.refuses = False
            fails(BackendUnavailableError, "certificate is not trusted", engine, **GIVEN)
            proxy.refuses = True
            fails(BackendUnavailableError, "the proxy does not let", engine, **GIVEN)
            os.environ["AWS_CA_BUNDLE"] = "/nowhere"
            fails(SettingsError, "AWS_CA_BUNDLE names /nowhere", engine, **GIVEN)
            del os.environ["AWS_CA_BUNDLE"]


@case("B1", "A wrong clock is told at once")
def clock(folder: Path) -> None:
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
    with server(folder) as aws:
        aws.answer = lambda method, path: (403, {}, body)
        for engine in ENGINES:
            given = {"endpoint_url": aws.endpoint, **GIVEN}
            fails(AccessDeniedError, "clock of this machine", engine, **given)


@case("B2", "Without credentials every verb raises one kind of error, delete_many too")
def no_credentials(folder: Path) -> None:
    config = folder / "config"
    config.write_text(
        "[profile loop]\nrole_arn = arn:a\nsource_profile = pool\n"
        "[profile pool]\nrole_arn = arn:b\nsource_profile = loop\n"
        "[profile program]\ncredential_process = false\n"
    )
    with server(folder) as aws:
        os.environ["AWS_CONFIG_FILE"] = str(config)
        for engine in ENGINES:
            for profile in (None, "loop", "program"):
                given = {"endpoint_url": aws.endpoint, "profile": profile}
                fails(AccessDeniedError, "no usable credentials", engine, **given)
                store = ObjectStore("s3://bucket/p", engine=engine, **given)
                with pytest.raises((AccessDeniedError, BulkError)):
                    store.at(namespace="n", run="r").delete_many(["a", "b"], missing_ok=True)


@case("B2", "Endpoints, timeouts and CA files that no engine can use are refused at the door")
def unusable(folder: Path) -> None:
    for engine in ENGINES:
        for endpoint in (" http://h", "http://h:99999", "http://h h", "http://"):
            with pytest.raises(SettingsError, match="endpoint_url"):
                ObjectStore("s3://b", engine=engine, endpoint_url=endpoint)
        for timeout in (float("inf"), 1e10, 0, -1):
            with pytest.raises(SettingsError, match="timeout"):
                ObjectStore("s3://b", engine=engine, timeout=timeout)
        with pytest.raises(SettingsError, match="verify"):
            ObjectStore("s3://b", engine=engine, client_kwargs={"verify": str(folder)})
        with server(folder, engine) as aws:
            os.environ |= {"AWS_ACCESS_KEY_ID": "k\n", "AWS_SECRET_ACCESS_KEY": "s"}
            fails(AccessDeniedError, "white space", engine, endpoint_url=aws.endpoint)


@case("B5", "403 QuotaExceeded is a full store, and 403 for a read may be a miss")
def refusals(folder: Path) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        code = "QuotaExceeded" if method == "PUT" else "AccessDenied"
        return 403, {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    with server(folder) as aws:
        aws.answer = answer
        for engine in ENGINES:
            store = ObjectStore("s3://b/p", engine=engine, endpoint_url=aws.endpoint, **GIVEN)
            view = store.at(namespace="n", run="r")
            with pytest.raises(StorageFullError, match="quota"):
                view.put("x", 1)
            with pytest.raises(AccessDeniedError, match="s3:ListBucket"):
                view.get("x")
