"""A WebDAV server: wsgidav over a folder, in a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import free_ports, scratch, serving
from tests.servers.server import answers

_SERVER = """
import sys
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp

app = WsgiDAVApp({
    "provider_mapping": {"/": sys.argv[2]},
    "simple_dc": {"user_mapping": {"*": {"tester": {"password": "test-secret"}}}},
    "lock_storage": None,
    "property_manager": None,
    "logging": {"enable": True},
    "verbose": 1,
})
wsgi.Server(("127.0.0.1", int(sys.argv[1])), app, numthreads=12).start()
"""


@dataclass(frozen=True)
class WebdavServer:
    """A running server."""

    port: int
    folder: Path
    log: Path
    kind: str = "webdav"

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"webdav://127.0.0.1:{self.port}/"

    @property
    def options(self) -> dict[str, object]:
        """Give what a client needs besides the URL."""
        return {"transport": "http", "username": "tester", "password": "test-secret"}


@contextmanager
def webdav() -> Iterator[WebdavServer]:
    """Run it: about 1 s."""
    with scratch() as directory, free_ports(1) as (port,):
        folder, log = directory / "data", directory / "webdav.log"
        folder.mkdir()
        command = [sys.executable, "-c", _SERVER, str(port), str(folder)]
        with serving(command, log=log, ready=lambda: answers(f"http://127.0.0.1:{port}/")):
            yield WebdavServer(port, folder, log)
