"""SeaweedFS: a production server from a wheel; checks secrets and counts its requests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.process import free_ports, program, scratch, serving
from tests.servers.server import KEY, SECRET, Server

READER = "reader-key"  # of a user who may not write; the secret is the same
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


@contextmanager
def seaweed() -> Iterator[Server]:
    """Run master, volume, filer and S3 in one process: 3 to 10 s and 150 MB.

    A wrong secret is refused (403), as is a bucket that was not created (404).
    """
    with scratch() as directory, free_ports(9) as ports:
        (directory / "data").mkdir()
        identity = {"accessKey": KEY, "secretKey": SECRET}
        reader = identity | {"accessKey": READER}
        config = {
            "identities": [
                {"name": "t", "credentials": [identity], "actions": _ACTIONS},
                {"name": "reader", "credentials": [reader], "actions": ["Read", "List"]},
            ]
        }
        (directory / "s3.json").write_text(json.dumps(config))
        log, endpoint = directory / "seaweed.log", f"http://127.0.0.1:{ports[0]}"
        server = Server(endpoint, "seaweed", log, metrics=f"http://127.0.0.1:{ports[1]}/metrics")
        command = [
            *(program("weed"), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-dir={directory / 'data'}", f"-s3.config={directory / 's3.json'}"),
            *(f"-s3.port={ports[0]}", f"-metricsPort={ports[1]}", f"-s3.port.grpc={ports[2]}"),
            *(f"-master.port={ports[3]}", f"-master.port.grpc={ports[4]}"),
            *(f"-volume.port={ports[5]}", f"-volume.port.grpc={ports[6]}"),
            *(f"-filer.port={ports[7]}", f"-filer.port.grpc={ports[8]}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *(f"-s3.localSocket={directory / 's3'}", f"-filer.localSocket={directory / 'filer'}"),
            *("-s3.autoCreateBucket=false", "-volume.max=20000", "-master.volumeSizeLimitMB=1024"),
        ]
        # Each bucket takes volumes of its own, by default 7 at once; the sockets go to TMPDIR.
        env = {"TMPDIR": str(directory), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        with serving(command, log=log, ready=lambda: _stores(server), env=env):
            yield server


def _stores(server: Server) -> bool:
    """Whether an object can be stored: the gateway answers before there is room for one."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        bucket = server.new_bucket()
        server.client().put_object(Bucket=bucket, Key="ready", Body=b"")
        server.client().put_object(Bucket=bucket, Key="ready", Body=b"stored on a volume")
        server.client().delete_object(Bucket=bucket, Key="ready")
        server.client().delete_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError):
        return False
    return True
