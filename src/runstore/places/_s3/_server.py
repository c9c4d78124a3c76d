"""The host of a bucket, for requests that runstore makes by itself: where it is, and TLS."""

import socket
import ssl
import time
from functools import cached_property
from string import ascii_letters, digits
from urllib.parse import quote, urlsplit

from runstore.places._cloud._wire import MARK
from runstore.places._s3._access_point import AccessPoint
from runstore.places._s3._addresses import Addresses
from runstore.places._s3._config import S3Config
from runstore.places._s3._network import system_certificates
from runstore.places._s3._signature import Signer
from runstore.places._s3._written import Written

__all__ = ["Server"]

_CONNECT = 5.0  # seconds for a connection, at most
_SAFE = "/-_.~"
_PLAIN = f"{ascii_letters}{digits}{_SAFE}"
_MARK, _PAYER = f"x-amz-meta-{MARK}", "x-amz-request-payer"


class Server:
    """Where the requests for one bucket go.

    Args:
        config: How to reach it.
    """

    def __init__(self, config: S3Config) -> None:
        self.config = config
        parts = urlsplit(config.base)
        self._host, self.secure = str(parts.hostname), parts.scheme == "https"
        self._addresses = Addresses(self._host, parts.port or (443 if self.secure else 80))
        self.named = parts.netloc.rpartition("@")[2]
        """As the header ``Host`` has it."""
        bucket = f"/{config.bucket}" if config.path_style else ""
        self._before = f"{parts.path.rstrip('/')}{bucket}/"
        self._pays = config.requester_pays

    @property
    def reads_plainly(self) -> bool:
        """Whether a GET needs no more than a signature, and there is no proxy."""
        config = self.config
        special = config.proxy or config.written.customer_key or AccessPoint.named(config.bucket)
        return not special and self.named.isascii()

    @property
    def writes_plainly(self) -> bool:
        """Whether a PUT needs no more than a signature and the object's metadata either."""
        return self.reads_plainly and self.config.written == Written()

    def path(self, name: str) -> str:
        """Return the path of an object, as it is sent and signed."""
        return self._before + (quote(name, safe=_SAFE) if name.strip(_PLAIN) else name)

    def signed_lines(
        self, signer: Signer, method: str, path: str, mark: str | None = None, body: bytes = b""
    ) -> str | None:
        """Return the lines of a request that all need; None if only a client finds credentials.

        Args:
            signer: Of the region.
            method, path, body: Of the request.
            mark: The user metadata that tells one write from another.

        Raises:
            Failure: There are no credentials, or they cannot be renewed.
        """
        names = more = ""
        if mark is not None:
            names, more = f";{_MARK}", f"{_MARK}:{mark}\n"
        if self._pays:
            names, more = f"{names};{_PAYER}", f"{more}{_PAYER}:requester\n"
        if self.config.credentials is None:
            lines = f"host:{self.named}\n{more}"
        else:
            keys = self.config.credentials.current()
            if keys is None:
                return None
            lines = signer.lines(method, path, self.named, keys, names=names, more=more, body=body)
        return lines.replace("\n", "\r\n")

    def connected(self, timeout: float) -> socket.socket:
        """Return a new connection.

        Args:
            timeout: Seconds, with a limit of its own, until it stands, and again for each step of
                TLS. It is that of the connection's own steps from then on.

        Raises:
            OSError: There is none in time, or the certificate is not trusted.
        """
        limit = max(0.0, min(timeout, _CONNECT))
        line = self._addresses.connected(time.monotonic() + limit)
        try:
            line.settimeout(limit)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.secure:
                return line
            return self._trusting.wrap_socket(line, server_hostname=self._host)
        except BaseException:
            line.close()
            raise

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        """What trusts the certificates that the clients trust; to make it takes long."""
        verify = self.config.verify
        cafile = verify if isinstance(verify, str) else system_certificates()
        context = ssl.create_default_context(cafile=cafile)
        if verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
