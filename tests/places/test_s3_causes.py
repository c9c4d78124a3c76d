"""Each cause of a failure is told from the others, and at once where waiting cannot help.

The stores here would try for ten minutes. A test that ends has not waited for that.
"""

import contextlib
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from tests.places.s3_ import ENGINES
from tests.servers.recorder import Recorder

from runstore import errors
from runstore.places._cloud import _retry
from runstore.places._s3 import S3Backend

pytestmark = pytest.mark.parametrize("engine", ENGINES)

KEYS = {"key": "KEY-9f3b", "secret": "SECRET-9f3b"}


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def server(tmp_path):
    with Recorder(tmp_path) as running:
        yield running


def opened(engine, endpoint, **options):
    given = {**KEYS, "endpoint_url": endpoint, **options}
    return S3Backend("s3://bucket/p", engine=engine, timeout=600, options=given)


def verbs(backend):
    return {
        "put": lambda: backend.put("a.json", [b"x"]),
        "get": lambda: backend.get("a.json"),
        "head": lambda: backend.head("a.json"),
        "list": lambda: list(backend.list("")),
        "folders": lambda: backend.folders(""),
        "delete": lambda: backend.delete("a.json"),
        "delete_many": lambda: backend.delete_many(["a.json", "b.json"], missing_ok=True),
    }


def fails(backend, kind, said, names=("put", "get", "list", "delete_many")):
    """Assert that each verb raises this error, which never says that something was written."""
    for name in names:
        with pytest.raises(kind, match=said) as caught:
            raised(verbs(backend)[name])
        assert "may still" not in str(caught.value)
        for word in KEYS.values():
            assert word not in str(caught.value)


def raised(verb):
    """Call a verb; raise the first error that delete_many returns for a key."""
    outcome = verb()
    if isinstance(outcome, dict):
        raise outcome["a.json"]


def s3_error(status, code, extra="", said="said by the test"):
    body = f"<Error><Code>{code}</Code><Message>{said}</Message>{extra}</Error>"
    return lambda method, path: (status, {"Content-Type": "application/xml"}, body.encode())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.extended
def test_nothing_listens(engine):
    """A refused connection is said after seconds, and nothing was written."""
    backend = opened(engine, f"http://127.0.0.1:{free_port()}")
    fails(backend, errors.BackendUnavailableError, "nothing listens there", ["put"])


@pytest.fixture
def silent_port():
    """Give a port whose host answers no attempt to connect, as behind a firewall."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # more than it takes in
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.extended
def test_a_host_that_takes_no_connection(engine, silent_port):
    """Where no connection comes about until the timeout, nothing was written, and that is said."""
    given = {**KEYS, "endpoint_url": f"http://127.0.0.1:{silent_port}"}
    backend = S3Backend("s3://bucket/p", engine=engine, timeout=3, options=given)
    with pytest.raises(errors.BackendUnavailableError, match="no connection to the server in time"):
        backend.put("a.json", [b"x"])


@pytest.mark.extended
def test_a_large_put_to_nowhere(engine):
    """A large put that never reached a server says so, and not that it may have been written."""
    backend = opened(engine, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(errors.BackendUnavailableError, match="nothing listens there"):
        backend.put("a.json", [bytes(80 << 20)])


def test_a_file_of_profiles_that_is_not_needed(engine, server, monkeypatch, tmp_path):
    """With explicit keys and endpoint, a configuration that cannot be read does not matter."""
    (tmp_path / "none").write_text("this is no configuration")
    opened(engine, server.endpoint).put("a.json", [b"x"])
    fails(
        opened(engine, None), errors.SettingsError, "configuration file .* cannot be read", ["put"]
    )


def test_a_server_that_starts_is_waited_for(engine, tmp_path):
    """A port that refuses connections for a moment is tried again."""
    import threading

    port, started = free_port(), []
    backend = opened(engine, f"http://127.0.0.1:{port}")

    def start():
        started.append(Recorder(tmp_path, port=port))
        started[0].__enter__()

    timer = threading.Timer(0.3, start)
    timer.start()
    try:
        backend.put("a.json", [b"x"])
    finally:
        timer.join()
        started[0].__exit__()


def test_no_such_host(engine):
    """A host that does not exist is said at once."""
    backend = opened(engine, "http://nosuch.invalid:9000")
    fails(backend, errors.BackendUnavailableError, "no host of that name.*nosuch.invalid")


def test_an_untrusted_certificate(engine, server, monkeypatch):
    """A certificate that is not trusted is said at once, with the way to trust it."""
    monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
    backend = opened(engine, "https://s3.test")
    fails(backend, errors.BackendUnavailableError, "certificate is not trusted.*AWS_CA_BUNDLE")


def test_a_self_signed_certificate(engine, server, monkeypatch):
    """One that nobody trusts is told as what it is, alike by both engines, with the way out."""
    monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
    server.authority_serves = True
    said = "certificate is self-signed.*AWS_CA_BUNDLE.*CA:FALSE: docs/s3.md"
    fails(opened(engine, "https://s3.test"), errors.BackendUnavailableError, said)


def test_a_certificate_made_by_the_documented_command(engine, server, monkeypatch, tmp_path):
    """The command of docs/s3.md makes a self-signed certificate that both engines take."""
    text = (Path(__file__).parents[2] / "docs/s3.md").read_text()
    command = re.search(r"^openssl req .*?server\.crt$", text, re.DOTALL | re.MULTILINE)[0]
    command = command.replace("s3.example", "s3.test")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    server.serves(tmp_path / "server.crt", tmp_path / "server.key")
    monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "server.crt"))
    opened(engine, "https://s3.test").put("a.json", [b"x"])


def test_a_certificate_of_another_host(engine, server, monkeypatch):
    """A certificate for another host is not trusted, either."""
    monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(server.certificates))
    server.certificate_for = "other.test"
    backend = opened(engine, "https://s3.test")
    fails(backend, errors.BackendUnavailableError, "certificate is not trusted", ["put", "list"])


def test_https_to_a_server_without_tls(engine, server):
    """TLS with a server that has none is said at once."""
    backend = opened(engine, server.endpoint.replace("http:", "https:"))
    fails(backend, errors.BackendUnavailableError, "does not speak TLS", ["put", "list"])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses(engine, server, scheme, monkeypatch):
    """A proxy that wants a password of its own is said at once."""
    server.refuses = True
    monkeypatch.setenv("HTTP_PROXY", server.endpoint)
    monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
    backend = opened(engine, f"{scheme}://s3.test")
    fails(backend, errors.BackendUnavailableError, "the proxy does not let the request through")


def test_a_missing_file_of_certificates(engine, monkeypatch):
    """A file of certificates that is not there is named, with what named it."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    backend = opened(engine, "https://s3.test")
    fails(backend, errors.SettingsError, "AWS_CA_BUNDLE names /nowhere/ca.pem", ["put", "list"])


def test_a_wrong_clock(engine, server):
    """A clock that is wrong is said at once."""
    server.answer = s3_error(403, "RequestTimeTooSkewed")
    fails(opened(engine, server.endpoint), errors.AccessDeniedError, "clock of this machine")


def test_what_a_server_says_is_text(engine, server):
    """And not XML."""
    said = "the server&#39;s time &amp; yours differ by &gt; 15 min"
    server.answer = s3_error(403, "RequestTimeTooSkewed", said=said)
    backend = opened(engine, server.endpoint)
    fails(backend, errors.AccessDeniedError, "the server's time & yours differ by > 15 min")


def test_an_expired_token(engine, server):
    """A session token that is out of date is said, and the error does not repeat it."""
    backend = opened(engine, server.endpoint, token="TOKEN-9f3b")
    server.answer = s3_error(400, "ExpiredToken", "<Token-0>TOKEN-9f3b</Token-0>")
    fails(backend, errors.AccessDeniedError, "session token is out of date", ["put", "list"])
    with pytest.raises(errors.AccessDeniedError) as caught:
        backend.get("a.json")
    assert "TOKEN-9f3b" not in str(caught.value.__cause__)


def test_another_region(engine, server):
    """The region that the bucket is in is named at once, whichever way the server says it."""
    said = "in the region eu-west-1"
    server.answer = s3_error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")
    fails(opened(engine, server.endpoint), errors.StorageError, said)
    moved, _, body = s3_error(301, "PermanentRedirect")("GET", "/")
    server.answer = lambda method, path: (moved, {"x-amz-bucket-region": "eu-west-1"}, body)
    fails(opened(engine, server.endpoint), errors.StorageError, said)


def test_a_full_store_is_not_a_denied_one(engine, server):
    """403 QuotaExceeded is a lack of space."""
    server.answer = s3_error(403, "QuotaExceeded")
    fails(opened(engine, server.endpoint), errors.StorageFullError, "quota", ["put"])


def test_a_denied_read_may_be_a_miss(engine, server):
    """403 for a read says that S3 answers so for what is not there, without s3:ListBucket."""
    server.answer = s3_error(403, "AccessDenied")
    backend = opened(engine, server.endpoint)
    fails(backend, errors.AccessDeniedError, "s3:ListBucket", ["get", "head", "delete"])
    with pytest.raises(errors.AccessDeniedError) as caught:
        backend.put("a.json", [b"x"])
    assert "ListBucket" not in str(caught.value)


PAGE = b"<html><head><title>Login</title></head><body>Who are you?</body></html>"
STRANGERS = {
    "a login page": lambda method, path: (200, {"Content-Type": "text/html"}, PAGE),
    "an empty answer": lambda method, path: (200, {}, b""),
    "JSON": lambda method, path: (200, {"Content-Type": "application/json"}, b"{}"),
    "a bare 404": lambda method, path: (404, {"Content-Type": "text/html"}, PAGE),
    "a redirect to a login page": lambda method, path: (
        (200, {"Content-Type": "text/html"}, PAGE)
        if path == "/login"
        else (302, {"Location": "/login"}, b"")
    ),
}


@pytest.mark.extended
@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_not_s3_is_an_error_for_every_verb(engine, server, stranger, monkeypatch):
    """A login page, an empty answer or another program is never an empty listing or a miss."""
    monkeypatch.setattr(_retry, "_SHORT_LIVED", 0.1)  # each verb would try for three seconds
    server.answer = STRANGERS[stranger]
    backend = opened(engine, server.endpoint)
    fails(backend, errors.BackendUnavailableError, "is not S3", verbs(backend))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "KEY", "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"),
        ("AWS_PROFILE", "loop", "InfiniteLoopConfigError"),
        ("AWS_PROFILE", "program", "CredentialRetrievalError"),
        ("AWS_PROFILE", "no program", "FileNotFoundError"),
        ("AWS_PROFILE", "no source", "no such profile|could not be found|does not exist|InvalidC"),
        (None, None, "none were found"),
    ],
)
def test_no_credentials(engine, server, name, content, said, monkeypatch, tmp_path):
    """What keeps credentials from being found is said, by every verb, as one kind of error."""
    config = tmp_path / "config"
    config.write_text(
        "[profile loop]\nrole_arn = arn:a\nsource_profile = pool\n"
        "[profile pool]\nrole_arn = arn:b\nsource_profile = loop\n"
        "[profile program]\ncredential_process = false\n"
        "[profile no program]\ncredential_process = /nowhere/program\n"
        "[profile no source]\nrole_arn = arn:a\nsource_profile = nobody\n".replace(
            "profile no program", "profile 'no program'"
        ).replace("profile no source", "profile 'no source'")
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    if name is not None:
        monkeypatch.setenv(name, content)
    options = {"endpoint_url": server.endpoint}
    backend = S3Backend("s3://bucket/p", engine=engine, timeout=600, options=options)
    fails(backend, errors.AccessDeniedError, said)
    assert [] == server.requests


def test_credentials_that_appear_are_taken_up(engine, server, monkeypatch):
    """Neither a lack of credentials nor the credentials of an earlier request are remembered."""
    options = {"endpoint_url": server.endpoint}
    backend = S3Backend("s3://bucket/p", engine=engine, timeout=600, options=options)
    fails(backend, errors.AccessDeniedError, "none were found", ["put"])
    for key in ("FIRST", "SECOND"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        backend.put("a.json", [b"x"])
    assert ["FIRST", "SECOND"] == [request.key for request in server.requests]


def test_keys_that_cannot_be_sent(engine, server, monkeypatch):
    """A line break at the end of a key is said; obstore would break off with a panic."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    options = {"endpoint_url": server.endpoint}
    backend = S3Backend("s3://bucket/p", engine=engine, timeout=600, options=options)
    fails(backend, errors.AccessDeniedError, "key id from the environment has white space")


def test_a_variable_that_obstore_alone_obeys(engine, server, monkeypatch):
    """What cannot be overruled is refused on obstore; s3fs does it if no engine is asked for."""
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "AES256")
    if engine == "obstore":
        backend = opened(engine, server.endpoint)
        fails(backend, errors.SettingsError, "AWS_SERVER_SIDE_ENCRYPTION is set", ["put"])
        backend = opened(None, server.endpoint)
    else:
        backend = opened(engine, server.endpoint)
    backend.put("a.json", [b"x"])
    assert "s3fs" == backend.engine
    assert "x-amz-server-side-encryption" not in server.requests[-1].headers
