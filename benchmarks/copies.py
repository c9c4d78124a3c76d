"""`python -m benchmarks copies`: what a copy of one large object moves.

On S3 the server's own counters say it: a copy is to take 6 requests at most, and less than 1 MiB
each way. On a disk strace says it: the process is to read and write less than 1 MiB, and the kernel
copies the rest, or the file system lets both objects share their blocks.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._places import Places
from runstore import ObjectStore

_MOST_REQUESTS, _MOST_BYTES = 6, 1 << 20
_CALLS = "read,pread64,preadv,readv,write,pwrite64,pwritev,writev,copy_file_range,sendfile,ioctl"
_SIGN = "runstore.sign"  # a file that is not there: where the copy begins in the trace


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy on each place and print what was moved; 1 if that was too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks copies", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000, help="of the object; 1000")
    parser.add_argument("--folder", type=Path, help="on another disk; it must exist")
    parser.add_argument("--only", choices=("s3", "local"), help="one of the two")
    parser.add_argument("--traced", help=argparse.SUPPRESS)
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    if options.traced:
        return _copy_here(options.traced)
    value = np.random.default_rng(0).integers(0, 1 << 62, options.megabytes * 125_000)
    print(f"copy of {value.nbytes / 1e6:,.0f} MB")
    moved_too_much = 0
    with Places(options.folder or Path(tempfile.gettempdir())) as places:
        for kind in ("local", "s3") if options.only is None else (options.only,):
            with places.scratch(kind) as scratch:
                if kind == "local":
                    moved_too_much += _local(scratch, value)
                else:
                    moved_too_much += _s3(places, scratch, value)
    return 1 if moved_too_much else 0


def _s3(places: Places, scratch: Path, value: Any) -> bool:
    too_much = False
    for engine in ("obstore", "s3fs"):
        place = places.make("s3", "copies", scratch)
        before_environment = dict(os.environ)
        os.environ.update(place.environment)
        try:
            with ObjectStore(place.root, engine=engine, timeout=120) as store:
                view = store.at(namespace="bench", run="copies")
                view.put("a", value)
                before = place.counted() or {}
                begun = time.perf_counter()
                view.copy("a", to_name="b")
                took = time.perf_counter() - begun
                after = place.counted() or {}
                same = view.stat("a").digest == view.stat("b").digest
                whole = np.array_equal(value, view.get("b", verify=True))
            place.clear()
        finally:
            os.environ.clear()
            os.environ.update(before_environment)
        found = {name: after[name] - before[name] for name in after}
        up, down = found["received_bytes"], found["sent_bytes"]
        good = found["requests"] <= _MOST_REQUESTS and max(up, down) < _MOST_BYTES
        print(
            f"s3, SeaweedFS, {engine}: {found['requests']} requests (at most {_MOST_REQUESTS}), "
            f"{up:,} bytes up, {down:,} down, {took:.2f} s, same digest: {same}, equal: {whole}",
            flush=True,
        )
        too_much |= not (good and same and whole)
    return too_much


def _local(scratch: Path, value: Any) -> bool:
    root, trace = scratch / "store", scratch / "trace"
    view = ObjectStore(root).at(namespace="bench", run="copies")
    view.put("a", value)
    blocks = _used(scratch)
    command = ["strace", "-f", "-o", str(trace), "-e", f"trace={_CALLS},openat,newfstatat"]
    command += [sys.executable, "-m", "benchmarks", "copies", "--traced", str(root)]
    try:
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    except FileNotFoundError:
        print("local: strace is not installed, so nothing can be said")
        return True
    lines = trace.read_text(errors="replace").splitlines()
    sign = next(i for i, line in enumerate(lines) if _SIGN in line)
    moved: dict[str, int] = {}
    shared = False
    for line in lines[sign:]:
        found = re.search(r"(\w+)\(.* = (\d+)$", line)
        if found is None:
            continue
        shared |= found[1] == "ioctl" and "FICLONE" in line
        if found[1] in _CALLS.split(",") and found[1] != "ioctl":
            moved[found[1]] = moved.get(found[1], 0) + int(found[2])
    by_kernel = moved.pop("copy_file_range", 0) + moved.pop("sendfile", 0)
    by_process = sum(moved.values())
    same = view.stat("a").digest == view.stat("b").digest
    whole = np.array_equal(value, view.get("b", verify=True))
    more = _used(scratch) - blocks
    print(
        f"local: {by_process:,} bytes read and written by the process, {by_kernel:,} copied by the "
        f"kernel, blocks shared: {'yes' if shared else 'no'}, {more:,} bytes more in use on the "
        f"disk, same digest: {same}, equal: {whole}",
        flush=True,
    )
    return not (by_process < _MOST_BYTES and same and whole)


def _used(folder: Path) -> int:
    """Return the bytes in use on the disk of *folder*."""
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _copy_here(root: str) -> int:
    """Copy in this process, which is traced."""
    view = ObjectStore(root).at(namespace="bench", run="copies")
    view.stat("a")  # loads what is needed
    Path(_SIGN).exists()
    view.copy("a", to_name="b")
    return 0
