"""`python -m benchmarks s3`: put and get on S3, beside clients that move the same raw bytes.

One SeaweedFS, started here; every peer puts and gets the same number of bytes,
and a round visits each once, so a slow moment of the machine is shared. runstore
encodes, digests and verifies; the others move bytes and know nothing of them.
"""

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._machine import commit, machine, versions

_RESULTS = Path(__file__).resolve().parent / "results"


class Peer(NamedTuple):
    """Something that puts and gets a value of bytes under a key."""

    label: str
    put: Callable[[str, Any], Any]
    get: Callable[[str], Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases and print the tables; every sample goes to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks s3", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--quick", action="store_true", help="tiny values, one round")
    parser.add_argument("--output", help="where the JSON goes; else benchmarks/results/")
    options = parser.parse_args(arguments)
    from tests.servers.seaweed import seaweed

    rounds = 1 if options.quick else options.rounds
    cases = [("256 MB", 10**6 if options.quick else 256 * 10**6, 1), ("300 × 1 KiB", 1024, 300)]
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    with seaweed() as server:
        peers = _peers(server)
        for name, size, count in cases:
            value = np.frombuffer(np.random.default_rng(1).bytes(size), "u1")
            found[name] = _measured(peers, value, 10 if options.quick else count, rounds)
            _show(name, found[name])
    _RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    about = {
        "format": 1,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(_RESULTS),
        "versions": versions(),
        "server": "SeaweedFS on the same machine",
    }
    output = Path(options.output or _RESULTS / f"{now:%Y%m%dT%H%M%S}-s3.json")
    output.write_text(json.dumps(about | {"seconds": found}, indent=1) + "\n")
    print(f"\nevery sample: {output}")
    return 0


def _measured(
    peers: list[Peer], value: Any, count: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {p.label: {} for p in peers}
    for peer in peers:  # connections, imports, and the server's first volume
        peer.put("warm", value[:1000])
        assert bytes(value[:1000]) == bytes(memoryview(peer.get("warm")))
    for round_ in range(rounds):
        order = peers[round_ % len(peers) :] + peers[: round_ % len(peers)]
        for number, peer in enumerate(order):
            keys = [f"r{round_}-{number}-{i}" for i in range(count)]
            samples = found[peer.label]
            _time(samples, "put", lambda k=keys, p=peer: [p.put(key, value) for key in k])
            _time(samples, "get", lambda k=keys, p=peer: [p.get(key) for key in k])
            assert bytes(value[-9:]) == bytes(memoryview(peer.get(keys[-1]))[-9:])
            if count > 1:
                with ThreadPoolExecutor(8) as pool:
                    jobs = {"put": lambda k, p=peer: p.put(k, value), "get": peer.get}
                    for verb, job in jobs.items():
                        _time(samples, f"{verb} × 8", lambda j=job, k=keys: [*pool.map(j, k)])
    return found


def _time(samples: dict[str, list[float]], name: str, job: Callable[[], Any]) -> None:
    started = time.perf_counter()
    job()
    samples.setdefault(name, []).append(time.perf_counter() - started)


def _show(name: str, found: dict[str, dict[str, list[float]]]) -> None:
    steps = list(next(iter(found.values())))
    raw = [label for label in found if not label.startswith("runstore")]
    print(f"\n{name}: median seconds, and how many times the best raw client's speed")
    print("".join([f"{'':<22}", *(f"{step:>20}" for step in steps)]))
    for label, samples in found.items():
        cells = []
        for step in steps:
            best = min(statistics.median(found[peer][step]) for peer in raw)
            here = statistics.median(samples[step])
            cells.append(f"{here:>12.3f} {best / here:>5.2f} ×")
        print(f"{label:<22}" + "".join(cells))


def _peers(server: Any) -> list[Peer]:
    import obstore
    from obstore.store import S3Store
    from s3fs import S3FileSystem

    from runstore import ObjectStore

    bucket = server.new_bucket()
    given = {"key": server.key, "secret": server.secret, "endpoint_url": server.endpoint}
    boto, fs = server.client(), S3FileSystem(**given, use_listings_cache=False)
    raw = S3Store(
        bucket,
        endpoint=server.endpoint,
        access_key_id=server.key,
        secret_access_key=server.secret,
        region=server.region,
        client_options={"allow_http": True, "timeout": "300s"},
    )

    def ours(engine: str) -> Peer:
        view = ObjectStore(f"s3://{bucket}/{engine}", engine=engine, **given)
        at = view.at(namespace="bench", run="r")
        return Peer(f"runstore, {engine}", at.put, at.get)

    def boto_put(key: str, value: Any) -> None:
        boto.upload_fileobj(io.BytesIO(memoryview(value)), bucket, f"boto/bench/r/{key}")

    def boto_get(key: str) -> bytes:
        body: bytes = boto.get_object(Bucket=bucket, Key=f"boto/bench/r/{key}")["Body"].read()
        return body

    return [
        ours("obstore"),
        ours("s3fs"),
        Peer("boto3", boto_put, boto_get),
        Peer(
            "s3fs",
            lambda key, value: fs.pipe_file(f"{bucket}/s3fs/bench/r/{key}", value.tobytes()),
            lambda key: fs.cat_file(f"{bucket}/s3fs/bench/r/{key}"),
        ),
        Peer(
            "obstore",
            lambda key, value: obstore.put(raw, f"obstore/bench/r/{key}", memoryview(value)),
            lambda key: obstore.get(raw, f"obstore/bench/r/{key}").bytes(),
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
