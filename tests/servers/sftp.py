"""An SFTP server: asyncssh over a folder, in a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import free_ports, scratch, serving

_SERVER = """
import asyncio, sys
import asyncssh

port, key, allowed = int(sys.argv[1]), sys.argv[2], sys.argv[3]


async def serve():
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[key],
        authorized_client_keys=allowed,
        sftp_factory=True,
        allow_scp=False,
    )
    await asyncio.get_running_loop().create_future()


asyncio.run(serve())
"""


@dataclass(frozen=True)
class SftpServer:
    """A running server; every path of this machine is a path of it."""

    port: int
    key: Path
    folder: Path
    log: Path
    kind: str = "sftp"

    @property
    def url(self) -> str:
        """The URL of its folder."""
        return f"sftp://tester@127.0.0.1:{self.port}{self.folder}"

    @property
    def options(self) -> dict[str, object]:
        """Give what a client needs besides the URL."""
        return {"client_keys": [str(self.key)]}


@contextmanager
def sftp() -> Iterator[SftpServer]:
    """Run it: about 0.5 s."""
    import asyncssh

    with scratch() as directory, free_ports(1) as (port,):
        for name in ("host", "client"):
            made = asyncssh.generate_private_key("ssh-ed25519")
            made.write_private_key(str(directory / name))
            made.write_public_key(str(directory / f"{name}.pub"))
        folder, log = directory / "data", directory / "sftp.log"
        folder.mkdir()
        command = [sys.executable, "-c", _SERVER, str(port)]
        command += [str(directory / "host"), str(directory / "client.pub")]
        with serving(command, log=log, ready=lambda: _greets(port)):
            yield SftpServer(port, directory / "client", folder, log)


def _greets(port: int) -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as found:
            return found.recv(4) == b"SSH-"
    except OSError:
        return False
