"""Run the worker again and again, and tell what it died of."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["findings"]

_BATCH = 5000  # files read by one process
_SILENT = 180  # seconds of a processor, or of sleep, for one file; what takes longer hangs
_POLL = 2.0  # seconds


def findings(first: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Read *count* changed files; return number, name and what is wrong of each finding."""
    end = first + count
    while first < end:
        batch = min(_BATCH, end - first)
        with tempfile.TemporaryDirectory(prefix="runstore-fuzz-") as folder:
            at = Path(folder) / "at"
            at.write_text(str(first))
            command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz._worker"]
            command += [str(first), str(batch), str(at)]
            out = Path(folder) / "out"
            with out.open("w") as file, (Path(folder) / "err").open("w") as errors:
                root = Path(__file__).parents[2]
                process = subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=errors,
                    cwd=folder,
                    env={**_environment(), "PYTHONPATH": f"{root}:{root / 'src'}"},
                )
                hung = _wait(process, at)
            for line in out.read_text().splitlines():
                number, name, what = json.loads(line)
                yield number, name, what
            reached = int(at.read_text())
            if process.returncode == 0:
                first += batch
                continue
            if process.returncode == 1 and not hung:  # an error of ours, not of what was read
                raise RuntimeError((Path(folder) / "err").read_text())
            reason = "hangs" if hung else f"the process ended with {process.returncode}"
            told = (Path(folder) / "err").read_text()
            yield reached, "?", f"{reason}: {told[:2000]}"
            first = reached + 1


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("RUNSTORE_")}


def _wait(process: "subprocess.Popen[bytes]", at: Path) -> bool:
    """Wait for the process; kill it, and say so, if it stays at one file for too long.

    Time in which it would work, but has no processor, does not count.
    """
    last, used, slept = "", 0.0, 0.0
    while True:
        try:
            process.wait(timeout=_POLL)
            return False
        except subprocess.TimeoutExpired:
            now, (asleep, seconds) = at.read_text(), _state(process.pid)
            if now != last:
                last, used, slept = now, seconds, 0.0
            slept += _POLL if asleep else 0.0
            if slept > _SILENT or seconds - used > _SILENT:
                process.kill()
                process.wait()
                return True


def _state(pid: int) -> tuple[bool, float]:
    """Return whether all threads of the process sleep, and what it has used of processors."""
    states, ticks = set(), 0
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            fields = task.read_text().rpartition(")")[2].split()
            states.add(fields[0])
            ticks += int(fields[11]) + int(fields[12])
    return states == {"S"}, ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Return 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("-n", type=int, default=10_000, help="how many files")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    options = parser.parse_args()
    found, began = 0, time.monotonic()
    for number, name, what in findings(options.first, options.n):
        print(f"{number} {name}: {what}", flush=True)
        found += 1
    print(f"{options.n} changed files read in {time.monotonic() - began:.0f} s, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
