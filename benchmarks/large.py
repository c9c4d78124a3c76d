"""`python -m benchmarks large`: large objects on S3 beside boto3, s3fs and obstore.

One SeaweedFS is started; every client moves the same bytes in turn, in one process. Shown are the
medians of wall time and of processor time (not the server's), and runstore's as multiples of the
best peer's.
"""

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["main"]

_MB = 1_000_000
_SIZES = {"8 MB": 8, "256 MB": 256}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks large", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="sizes with this in their name")
    parser.add_argument("--rounds", type=int, default=7, help="how often; 7 if not given")
    parser.add_argument("--scale", type=float, default=1.0, help="of how large the objects are")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    from tests.servers.seaweed import seaweed

    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    with seaweed() as server:
        for name, megabytes in _SIZES.items():
            if options.only in name:
                size = int(megabytes * _MB * options.scale)
                _show(name, _measured(server, size, options.rounds))
    return 0


def _measured(server: Any, size: int, rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return wall and processor time of each client, by what it did."""
    import numpy as np

    value = np.random.default_rng(1).integers(0, 256, size, "u1")
    clients = [make(server, server.new_bucket(), value) for make in _CLIENTS.values()]
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for number in range(rounds + 1):  # the first is for connections and warm memory
        for step in (0, 1):
            turn = number % len(clients)
            for name, client in _turned(list(zip(_CLIENTS, clients, strict=True)), turn):
                gc.collect()
                # A virtual machine gives free memory back, and the first to need it would pay.
                np.ones(2 * size, "u1")
                wall, cpu = time.perf_counter(), time.process_time()
                result = client[step]()
                taken = time.perf_counter() - wall, time.process_time() - cpu
                if step and number == 0:
                    assert memoryview(result).nbytes == value.nbytes, name
                del result
                if number:
                    found.setdefault(("put", "get")[step], {}).setdefault(name, []).append(taken)
    return {
        step: {
            name: (
                statistics.median(wall for wall, _ in samples),
                statistics.median(cpu for _, cpu in samples),
            )
            for name, samples in clients.items()
        }
        for step, clients in found.items()
    }


def _turned(clients: list[Any], by: int) -> list[Any]:
    return clients[by:] + clients[:by]


def _show(name: str, found: dict[str, dict[str, tuple[float, float]]]) -> None:
    for step, clients in found.items():
        print(f"{step} {name:10} {'wall':>10} {'CPU':>10} {'wall ×':>8} {'CPU ×':>8}")
        ours = clients["runstore"]
        for client, (wall, cpu) in clients.items():
            line = f"  {client:12} {wall * 1e3:7.1f} ms {cpu * 1e3:7.1f} ms"
            if client != "runstore":
                line += f" {ours[0] / wall:8.2f} {ours[1] / cpu:8.2f}"
            print(line, flush=True)


Steps = tuple[Callable[[], Any], Callable[[], Any]]


def _runstore(server: Any, bucket: str, value: Any) -> Steps:
    from runstore import ObjectStore

    options = {"key": server.key, "secret": server.secret, "endpoint_url": server.endpoint}
    store = ObjectStore(f"s3://{bucket}/x", **options)
    view = store.at(namespace="n", run="r")
    return lambda: view.put("x", value), lambda: view.get("x")


def _obstore(server: Any, bucket: str, value: Any) -> Steps:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket,
        endpoint=server.endpoint,
        access_key_id=server.key,
        secret_access_key=server.secret,
        region=server.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    data = memoryview(value)
    return lambda: obstore.put(store, "x", data), lambda: obstore.get(store, "x").bytes()


def _boto3(server: Any, bucket: str, value: Any) -> Steps:
    client = server.client()
    data = value.tobytes()
    return (
        lambda: client.put_object(Bucket=bucket, Key="x", Body=data),
        lambda: client.get_object(Bucket=bucket, Key="x")["Body"].read(),
    )


def _s3fs(server: Any, bucket: str, value: Any) -> Steps:
    import s3fs

    place = {"endpoint_url": server.endpoint, "region_name": server.region}
    files = s3fs.S3FileSystem(key=server.key, secret=server.secret, client_kwargs=place)
    data = value.tobytes()
    return (
        lambda: files.pipe_file(f"{bucket}/x", data),
        lambda: files.cat_file(f"{bucket}/x"),
    )


_CLIENTS: dict[str, Callable[[Any, str, Any], Steps]] = {
    "runstore": _runstore,
    "obstore": _obstore,
    "boto3": _boto3,
    "s3fs": _s3fs,
}

if __name__ == "__main__":
    sys.exit(main())
