"""What tests know of a running S3 server."""

import functools
import re
import urllib.error
import urllib.request
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.process import poll

KEY, SECRET, REGION = "test-key", "test-secret", "us-east-1"
_COUNT = re.compile(r'SeaweedFS_s3_request_total\{bucket="(.*)",code="(.*)",type="(.*)"\} (.+)')


@dataclass(frozen=True)
class Server:
    """A running server; `dataclasses.replace(server, endpoint=…)` speaks to it through a proxy."""

    endpoint: str
    kind: str
    log: Path
    key: str = KEY
    secret: str = field(default=SECRET, repr=False)
    region: str = REGION
    metrics: str | None = None

    def client(self) -> Any:
        """Give a boto3 client that never retries, so that what the server says is seen."""
        return _client(self.endpoint, self.key, self.secret, self.region)

    def new_bucket(self) -> str:
        """Create a bucket that no other test has."""
        bucket = f"test-{uuid.uuid4().hex[:16]}"
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def requests(self, bucket: str) -> Counter[tuple[str, str]]:
        """Count the requests about a bucket by (type, status), its creation among them.

        These are SeaweedFS's own figures; subtract an earlier count from a later one. A request
        is counted when its handler ends, which can be a moment after the answer has arrived: the
        figures are read until they stand still.
        """
        counts = [self._counts(bucket)]

        def still() -> bool:
            counts.append(self._counts(bucket))
            return len(counts) > 2 and counts[-1] == counts[-2] == counts[-3]

        poll(still, seconds=60, every=0.03)
        return counts[-1]

    def sent(self, bucket: str) -> int:
        """Return how many bytes of a bucket's objects the server has sent; SeaweedFS's figure."""
        assert self.metrics is not None
        with urllib.request.urlopen(self.metrics, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        name, of = "SeaweedFS_s3_bucket_traffic_sent_bytes_total", f'"{bucket}"'
        return sum(
            int(float(one.split()[-1])) for one in lines if one.startswith(name) and of in one
        )

    def _counts(self, bucket: str) -> Counter[tuple[str, str]]:
        if self.metrics is None:
            raise TypeError(f"{self.kind} does not count its requests: put a FaultProxy before it")
        with urllib.request.urlopen(self.metrics, timeout=60) as answer:
            found = _COUNT.findall(answer.read().decode())
        return Counter(
            {(kind, code): int(float(n)) for name, code, kind, n in found if name == bucket}
        )


def answers(url: str) -> bool:
    """Whether something speaks HTTP there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=20).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


@functools.cache
def _client(endpoint: str, key: str, secret: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name=region,
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=60,
            read_timeout=120,
            s3={"addressing_style": "path"},
        ),
    )
