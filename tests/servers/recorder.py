"""A server that records who was asked for what, and answers every put as S3 does.

It is also a proxy, and speaks TLS for any host with certificates of an authority of its own: so
requests to AWS can be seen, and whether their certificate fits.
"""

import datetime
import ipaddress
import re
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/s3/")
_ROLE = """<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId>
<SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>
"""
_MACHINE = """{"AccessKeyId": "MACHINE", "SecretAccessKey": "machine-secret",
"Token": "machine-token", "Expiration": "2099-01-01T00:00:00Z"}"""


@dataclass(frozen=True)
class Recorded:
    """One request as the server saw it.

    Attributes:
        url: Scheme, host and path.
        key, region: What it was signed with and for; None if it was not signed.
        token: The session token.
        headers: All of them, by lower-case name.
    """

    method: str
    url: str
    key: str | None
    region: str | None
    token: str | None
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Recorder:
    """Answer and record.

    Args:
        folder: Where certificates are written.
        answer: What to answer instead: status, headers and body for a method and a path. A
            status of 0 closes the connection.
        port: By default a free one.

    Attributes:
        refuses: Whether it is a proxy that asks for a password.
        certificate_for: The one host that it has a certificate for; by default any.
        authority_serves: Whether it shows the certificate of its authority, which is self-signed.
    """

    def __init__(self, folder: Path, answer: Any = None, port: int = 0) -> None:
        self.requests: list[Recorded] = []
        self.answer = answer
        self.refuses = False
        self.certificate_for: str | None = None
        self.authority_serves = False
        self._given: ssl.SSLContext | None = None
        self._authority = _Authority(folder)
        self.certificates = self._authority.file
        recorder = self

        class Handler(_Handler):
            server_recorder = recorder

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def context(self, host: str) -> ssl.SSLContext:
        """Return what serves TLS as *host*."""
        if self._given is not None:
            return self._given
        if self.authority_serves:
            return self._authority.own_context(host)
        return self._authority.context(host)

    def serves(self, certificate: Path, key: Path) -> None:
        """Show this certificate from now on, whatever host is asked for."""
        self._given = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._given.load_cert_chain(certificate, key)

    def reply(self, request: Recorded) -> tuple[int, dict[str, str], bytes]:
        """Return the answer to a request."""
        path = urlsplit(request.url).path
        if self.refuses:
            return 407, {}, b""
        if self.answer is not None:
            answer: tuple[int, dict[str, str], bytes] = self.answer(request.method, path)
            return answer
        if path == "/machine":
            return 200, {"Content-Type": "application/json"}, _MACHINE.encode()
        if b"Action=AssumeRole" in request.body:
            return 200, {"Content-Type": "text/xml"}, _ROLE.encode()
        return 200, {"ETag": '"0"'}, b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients break off where that is what a test is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_recorder: Recorder
    secure = False

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        """Be the host that is asked for, by TLS."""
        if self.server_recorder.refuses:
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        host = self.server_recorder.certificate_for or self.path.rpartition(":")[0]
        try:
            self.connection = self.server_recorder.context(host).wrap_socket(
                self.connection, server_side=True
            )
        except OSError:  # our certificate is not trusted
            self.close_connection = True
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secure = True

    def finish(self) -> None:
        super().finish()
        if self.secure:
            self.connection.close()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self.headers.get("expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(length)
        scheme, path = "https" if self.secure else "http", self.path
        if "://" in path:  # to a proxy
            path = urlsplit(path).path
        found = _SCOPE.search(self.headers.get("authorization", ""))
        request = Recorded(
            self.command,
            f"{scheme}://{self.headers['host']}{path.partition('?')[0]}",
            found[1] if found else None,
            found[2] if found else None,
            self.headers.get("x-amz-security-token"),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self.server_recorder.requests.append(request)
        status, headers, answer = self.server_recorder.reply(request)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve


class _Authority:
    """Signs certificates for any host."""

    def __init__(self, folder: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"runstore {id(self)}")])
        ca = self._signed(self._name, self._key, [(x509.BasicConstraints(True, None), True)])
        self.file = folder / "authority.pem"
        self.file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._making = threading.Lock()

    def context(self, host: str) -> ssl.SSLContext:
        with self._making:
            if host not in self._contexts:
                self._contexts[host] = self._made(host)
            return self._contexts[host]

    def own_context(self, host: str) -> ssl.SSLContext:
        """Return what serves TLS as *host* with a certificate as `openssl req -x509` makes it."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        extensions = [(x509.BasicConstraints(True, None), True), (names, False)]
        own = self._signed(self._name, self._key, extensions)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        return self._serving(self._key, own, self._folder / "own.pem")

    def _made(self, host: str) -> ssl.SSLContext:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:60])])
        # As the real ones: a bucket is one label in front of the service's host.
        label, _, rest = host.partition(".s3")
        names: list[Any] = [x509.DNSName(f"*.s3{rest}" if rest else host)]
        if "." in label and rest:
            names = [x509.DNSName(f"s3{rest}")]
        with suppress(ValueError):
            names = [x509.IPAddress(ipaddress.ip_address(host))]
        if not rest and isinstance(names[0], x509.DNSName):
            names = [x509.DNSName(host)]
        cert = self._signed(name, key, [(x509.SubjectAlternativeName(names), False)])
        return self._serving(key, cert, self._folder / f"{host}.pem")

    def _serving(self, key: Any, cert: Any, file: Path) -> ssl.SSLContext:
        from cryptography.hazmat.primitives import serialization

        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + cert.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(self, name: Any, key: Any, extensions: list[tuple[Any, bool]]) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = datetime.datetime.now(datetime.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )
        for extension, critical in extensions:
            built = built.add_extension(extension, critical)
        return built.sign(self._key, hashes.SHA256())
