"""Azurite: Microsoft's own emulator of Azure Blob Storage, from npm, with its objects in memory."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.process import ServerError, free_ports, scratch, serving
from tests.servers.server import answers

PROGRAM = Path(__file__).parents[2] / ".azurite/node_modules/.bin/azurite-blob"
"""Where `make test-places` installs it."""

# Azurite's one account, which is in its documentation.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class AzureServer:
    """A running server."""

    port: int
    log: Path
    kind: str = field(default="azure")

    @property
    def options(self) -> dict[str, object]:
        """Give what a client needs besides the URL."""
        endpoint = f"http://127.0.0.1:{self.port}/{_ACCOUNT}"
        return {
            "connection_string": f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};"
            f"AccountKey={_KEY};BlobEndpoint={endpoint};"
        }

    def new_bucket(self) -> str:
        """Create a container that no other test has."""
        from azure.storage.blob import BlobServiceClient

        name = f"test-{uuid.uuid4().hex[:16]}"
        with BlobServiceClient.from_connection_string(self.options["connection_string"]) as client:
            client.create_container(name).close()
        return name

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object with Azure's own client."""
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(self.options["connection_string"]) as client:
            return client.get_blob_client(bucket, key).download_blob().readall()


@contextmanager
def azure() -> Iterator[AzureServer]:
    """Run it: about 1 s and 100 MB."""
    if not PROGRAM.exists():
        raise ServerError("Azurite is not installed: run `make test-places`, which needs node")
    with scratch() as directory, free_ports(1) as (port,):
        log = directory / "azure.log"
        command = [str(PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        command += ["--inMemoryPersistence"]
        command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        with serving(command, log=log, ready=lambda: answers(f"http://127.0.0.1:{port}/")):
            yield AzureServer(port, log)
