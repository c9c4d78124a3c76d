"""Run the worker again and again, and tell what it died of."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["findings"]

_BATCH = 5000  # files read by one process
_SILENT = 180  # seconds for one file; a process that takes longer hangs


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
    import os

    return {key: value for key, value in os.environ.items() if not key.startswith("RUNSTORE_")}


def _wait(process: "subprocess.Popen[bytes]", at: Path) -> bool:
    """Wait for the process; kill it, and say so, if it stays at one file for too long."""
    last, since = "", time.monotonic()
    while True:
        try:
            process.wait(timeout=2)
            return False
        except subprocess.TimeoutExpired:
            now = at.read_text()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > _SILENT:
                process.kill()
                process.wait()
                return True


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
