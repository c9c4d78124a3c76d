"""Secrets of S3 in logs, reprs and errors."""

import logging
from pathlib import Path

import pytest
from tests.cases._case import case
from tests.cases.section_a_s3env import ENGINES, server

from runstore import ObjectStore
from runstore.errors import SettingsError

KEY, TOKEN = "KEY-9f3b1c", "TOKEN-9f3b1c"


@case("D7", "At DEBUG neither key id nor session token is logged")
def logs(folder: Path) -> None:
    told: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    logging.basicConfig(level=logging.DEBUG, handlers=[Keep()])
    with server(folder) as aws:
        for engine in ENGINES:
            given = {"key": KEY, "secret": "s", "token": TOKEN, "endpoint_url": aws.endpoint}
            store = ObjectStore("s3://b/p", engine=engine, **given)
            store.at(namespace="n", run="r").put("x", 1)
        assert [(KEY, TOKEN)] * 2 == [(request.key, request.token) for request in aws.requests]
    assert [] == [line for line in told if KEY in line or TOKEN in line]


@case("D7", "The error for an unsupported URL does not repeat its password")
def urls(folder: Path) -> None:
    for url in (f"gs://user:{KEY}@b/p", f"nope://u:{KEY}@h", f"https://h/x?token={KEY}"):
        with pytest.raises(SettingsError) as caught:
            ObjectStore(url)
        assert KEY not in repr(caught.value)


@case("D7", "An endpoint with a query or with credentials is refused, unshown")
def endpoints(folder: Path) -> None:
    for endpoint in (f"http://h:9000/?token={KEY}", f"http://u:{KEY}@h:9000", f"http://h#{KEY}"):
        with pytest.raises(SettingsError, match="endpoint_url has") as caught:
            ObjectStore("s3://b", endpoint_url=endpoint)
        assert KEY not in repr(caught.value)
