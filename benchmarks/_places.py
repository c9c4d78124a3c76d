"""Where objects are put: memory, local disk, tmpfs, S3; and what each place can tell of itself."""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["Place", "Places"]

_TMPFS = Path("/dev/shm")
_LATE = 0.35  # seconds until the server has counted the completion of an upload
_TRAFFIC = re.compile(r'SeaweedFS_s3_bucket_traffic_(\w+)_bytes_total\{bucket="(.*)"\} (.+)')


class Place:
    """An empty place for one peer in one case."""

    def __init__(self, root: str, environment: dict[str, str] | None = None) -> None:
        self.root = root
        self.environment = environment or {}

    def stored(self) -> int | None:
        """Bytes that are stored here; None where nobody can tell."""
        if "://" in self.root:
            return None
        found = (path.stat() for path in Path(self.root).rglob("*") if path.is_file())
        # Blocks, not lengths, where there are fewer: a database's file may be mostly holes.
        return sum(min(stat.st_size, 512 * stat.st_blocks) for stat in found)

    def counted(self) -> dict[str, int] | None:
        """Requests and bytes so far, as the server counts them; None without a server."""
        return None

    def clear(self) -> None:
        """Remove everything, where the one who made the folder does not."""


class _Bucket(Place):
    def __init__(self, server: Any, endpoint: str, late: float) -> None:
        self._late = late
        self._server, self._bucket = server, server.new_bucket()
        environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": server.key,
            "AWS_SECRET_ACCESS_KEY": server.secret,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        super().__init__(f"s3://{self._bucket}/objects", environment)

    def stored(self) -> int | None:
        pages = self._server.client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        return sum(entry["Size"] for page in pages for entry in page.get("Contents", ()))

    def counted(self) -> dict[str, int] | None:
        time.sleep(self._late)
        requests = self._server.requests(self._bucket).total()
        with urllib.request.urlopen(self._server.metrics, timeout=5) as answer:
            found = _TRAFFIC.findall(answer.read().decode())
        traffic = {way: int(float(n)) for way, bucket, n in found if bucket == self._bucket}
        return {
            "requests": requests,
            "received_bytes": traffic.get("received", 0),
            "sent_bytes": traffic.get("sent", 0),
        }

    def clear(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        # SeaweedFS deletes a bucket with all that is in it; the server's own end does it, too.
        with suppress(BotoCoreError, ClientError):
            self._server.client().delete_bucket(Bucket=self._bucket)


class Places:
    """Makes places; a server is started when the first case asks for one.

    Not `patient`, the server's counters are read before they are certain, and what is far is 1 ms
    away: nobody looks at the figures.
    """

    def __init__(self, folder: Path, *, patient: bool = True) -> None:
        self._folder = folder
        self._late = _LATE if patient else 0.0
        self._patient = patient
        self._ends = ExitStack()
        self._server: Any = None
        self._relays: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @contextmanager
    def scratch(self, kind: str) -> Iterator[Path]:
        """Give a folder for one case on the right disk, removed afterwards."""
        parent = _TMPFS if kind == "tmpfs" else self._folder
        with tempfile.TemporaryDirectory(dir=parent, prefix=".bench-") as scratch:
            yield Path(scratch)

    def make(self, kind: str, name: str, scratch: Path) -> Place:
        """Make an empty place.

        Args:
            kind: ``memory``, ``local``, ``tmpfs``, ``s3``, or ``s3+10ms`` for latency.
            name: Of the folder.
            scratch: Where a folder is made.
        """
        if kind == "memory":
            return Place("memory://benchmarks")
        if kind in {"local", "tmpfs"}:
            root = scratch / name
            root.mkdir()
            return Place(str(root))
        server = self._started()
        _, _, latency = kind.removesuffix("ms").partition("+")
        near = latency if self._patient else "1"
        endpoint = self._relay(near) if latency else server.endpoint
        return _Bucket(server, endpoint, self._late)

    def _started(self) -> Any:
        if self._server is None:
            from tests.servers.seaweed import seaweed

            self._server = self._ends.enter_context(seaweed())
        return self._server

    def _relay(self, latency: str) -> str:
        if latency not in self._relays:
            upstream = urlsplit(self._server.endpoint).netloc
            root = Path(__file__).resolve().parents[1]
            relay = subprocess.Popen(
                [sys.executable, "-m", "benchmarks._latency", upstream, latency],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(root)},
            )
            assert relay.stdout is not None
            self._ends.callback(relay.wait, 10)
            assert relay.stdin is not None
            self._ends.callback(relay.stdin.close)
            self._relays[latency] = f"http://127.0.0.1:{relay.stdout.readline().strip()}"
        return self._relays[latency]
