"""`python -m benchmarks ui`: what each page of the browser view costs on a store of 10,000 runs.

A `runstore ui` of its own serves a store that is made for this, on a disk and on a SeaweedFS. Each
page is asked for several times over HTTP. Shown are the first answer and the best of the others:
the time that the server says it took, the processor time of its process, by how much its memory
grew at most, by how much what it has mapped of files did, and the size of the answer. Memory is of
its own, without pages of files, which the system takes back when it likes; it is looked at every
two milliseconds. It ends with 1 if the best round of a page is over budget.
"""

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks._browsing import NAMESPACE, fill, large_table
from benchmarks._places import Places
from benchmarks._process import child_environment
from runstore import ObjectStore
from runstore.pages import address

__all__ = ["main"]

_TABLE = "large"
_MOST = 64.0  # MiB by which the memory of the server may grow for a page
_MOST_MAPPED = 256.0  # MiB of files that it may have mapped more for a page, as of a projection
_OFTEN = 0.002  # seconds between two looks at its memory
_SPENT = re.compile(r"dur=([\d.]+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a store, serve it, ask for every page, and print one table; 1 if one costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ui", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=3, help="of each run")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("local", "s3"), help="one of the two")
    parser.add_argument("--folder", type=Path, help="on another disk; it must exist")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    over = False
    with Places(options.folder or Path(tempfile.gettempdir())) as places:
        for kind in ("local", "s3") if options.only is None else (options.only,):
            with places.scratch(kind) as scratch:
                place = places.make(kind, "ui", scratch)
                before = dict(os.environ)
                os.environ.update(place.environment)
                try:
                    over |= _measured(kind, place.root, options)
                finally:
                    os.environ.clear()
                    os.environ.update(before)
    return int(over)


def _measured(kind: str, root: str, options: argparse.Namespace) -> bool:
    with ObjectStore(root, timeout=600) as store:
        names = fill(store, options.runs, options.objects)
        large_table(store.at(namespace=NAMESPACE, run=names[-1]), _TABLE, options.gigabytes)
    print(f"{kind}: {options.runs:,} runs, a table of {options.gigabytes:g} GB; milliseconds")
    print(
        f"{'':30}{'first':>8}{'CPU':>8}{'again':>8}{'CPU':>8}{'budget':>8}"
        f"{'MiB more':>10}{'mapped':>8}{'KB':>8}"
    )
    over = False
    with _serving(root) as server:
        for what, path, budget in _pages(names):
            found = [server.asked(path) for _ in range(1 + options.rounds)]
            best = min(found[1:], key=lambda one: one.wall)
            most, mapped = max(one.grown for one in found), max(one.mapped for one in found)
            slow = budget is not None and best.wall > budget
            over |= slow or most > _MOST or mapped > _MOST_MAPPED
            print(
                f"{what:30}{found[0].wall:>8.0f}{found[0].cpu:>8.0f}{best.wall:>8.0f}{best.cpu:>8.0f}"
                f"{budget or '':>8}{most:>10.1f}{mapped:>8.1f}{best.size / 1e3:>8.0f}"
                + (" too slow" if slow else "")
                + (" too much memory" if most > _MOST else "")
                + (" too much of a file" if mapped > _MOST_MAPPED else "")
            )
    print()
    return over


def _pages(names: list[str]) -> list[tuple[str, str, int | None]]:
    """Return title, address and budget in milliseconds of each page."""
    run, middle = names[-1], max(1, len(names) // 100)
    table, pair = address(NAMESPACE, run, _TABLE), [f"{NAMESPACE}/{one}" for one in names[-2:]]
    return [
        ("namespaces", "/", 300),
        ("runs, first page", address(NAMESPACE), 300),
        ("runs, the page in the middle", address(NAMESPACE, page=middle), None),
        ("runs that have failed", address(NAMESPACE, state="failed"), 300),
        ("runs that go on (none)", address(NAMESPACE, state="running"), 300),
        ("runs of a workflow", address(NAMESPACE, workflow="workflow-1"), 300),
        ("runs with a text in the name", address(NAMESPACE, text="20260101t"), None),
        ("a run", address(NAMESPACE, run), 300),
        ("the newest run", address(NAMESPACE, "_latest"), 300),
        ("search", "/search?q=object-1", None),
        ("rows of the table", table, 500),
        ("last rows of the table", f"{table}?start=1000000", 500),
        ("profile of the table", f"{table}?only=profile", None),
        ("lineage of the table", f"{table}?only=lineage", None),
        ("diff of two runs", f"/diff?run={pair[0]}&run={pair[1]}", None),
    ]


class _Asked(NamedTuple):
    wall: float  # milliseconds that the server took, as it says
    cpu: float  # milliseconds of its processor time
    grown: float  # MiB by which its own memory grew at most
    mapped: float  # MiB by which what it has mapped of files did
    size: int  # bytes of the answer


class _Server:
    """A `runstore ui` in a process of its own."""

    def __init__(self, url: str, pid: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port, self._pid = parts.hostname, parts.port, pid

    def asked(self, path: str) -> _Asked:
        """Ask for a page, and return what that cost; redirections are followed.

        Raises:
            RuntimeError: The answer is an error.
        """
        spent = self._processor()
        with self._watched() as grown:
            wall, body = self._answered(path)
        cpu = (self._processor() - spent) * 1000
        return _Asked(wall, cpu, grown["RssAnon"], grown["RssFile"], len(body))

    def _answered(self, path: str) -> tuple[float, bytes]:
        wall = 0.0
        while True:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=600)
            connection.request("GET", path)
            answer = connection.getresponse()
            body, timing = answer.read(), answer.headers["server-timing"]
            connection.close()
            found = _SPENT.search(timing)
            assert found is not None
            wall += float(found[1])
            if answer.status != 303:
                break
            path = answer.headers["location"]
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {body[:2000].decode()}")
        return wall, body

    @contextmanager
    def _watched(self) -> Iterator[dict[str, float]]:
        """Note by how many MiB each kind of its memory has grown at most, until the block ends."""
        before, ended = self._memory(), threading.Event()
        grown = dict.fromkeys(before, 0.0)

        def watch() -> None:
            while True:
                for kind, now in self._memory().items():
                    grown[kind] = max(grown[kind], (now - before[kind]) / 1024)
                if ended.wait(_OFTEN):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield grown
        finally:
            ended.set()
            watcher.join()

    def _processor(self) -> float:
        return time.clock_gettime((~self._pid << 3) | 2)  # Linux: the clock of that process

    def _memory(self) -> dict[str, int]:
        status = Path(f"/proc/{self._pid}/status").read_text()
        kinds = ("RssAnon", "RssFile")
        return {kind: int(status.partition(f"{kind}:")[2].split()[0]) for kind in kinds}


@contextmanager
def _serving(root: str) -> Iterator[_Server]:
    command = [sys.executable, "-m", "runstore", "ui", "--port", "0", "--no-token"]
    told, environment = subprocess.PIPE, child_environment()
    with subprocess.Popen(
        [*command, "--store", root], stdout=told, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            yield _Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()
