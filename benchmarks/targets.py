"""`python -m benchmarks targets [GROUP …]`: every speed that is promised, in about six minutes.

Each group runs in a process of its own, with its peers in turn. A row is what was measured, the
target, and whether it is met; times are judged by processor time where the row does not say wall.
The exit code is 0 whatever is missed: a figure of a busy machine is no failure. With `--publish`
the rows are kept in `benchmarks/results`, and `python -m benchmarks tables` shows them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._machine import about
from benchmarks._process import child_environment
from benchmarks._results import RESULTS, save
from benchmarks._target_rows import GROUPS, Row, Size

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print one table."""
    options = _options(arguments)
    if options.child:
        size = Size(options.rounds, options.scale)
        print(json.dumps([row._asdict() for row in GROUPS[options.child](size)]))
        return 0
    print(f"{'':46}{'target':>20}{'measured':>28}  met", flush=True)
    missed, failed, begun, kept = 0, False, time.monotonic(), []
    where = about(Path(tempfile.gettempdir()), options={"rounds": options.rounds})
    for group in options.groups or GROUPS:
        found, error = _asked(group, options)
        kept += [{"group": group, **row._asdict()} for row in found]
        for row in found:
            missed += not row.met
            met = "yes" if row.met else "NO"
            print(f"{row.what:46}{row.target:>20}{row.measured:>28}  {met}", flush=True)
        if error:
            missed += 1
            print(f"{group:46}{'':>20}{'failed':>28}  NO: {error}", flush=True)
        failed |= bool(error)
    print(f"{missed} missed, in {time.monotonic() - begun:.0f} s")
    if options.publish and failed:
        print("not published: a group failed", file=sys.stderr)
    elif options.publish:
        save(RESULTS / "targets.json", where, [], kept)
    return failed and options.publish


def _asked(group: str, options: argparse.Namespace) -> tuple[list[Row], str]:
    """Measure one group in a fresh process; what was found, and of what it died."""
    command = [sys.executable, "-m", "benchmarks", "targets", "--child", group]
    command += ["--rounds", str(options.rounds), "--scale", str(options.scale)]
    env = child_environment()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        return [], (done.stderr.strip().splitlines() or ["no message"])[-1]
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])], ""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks targets", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP")
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--scale", type=float, default=1.0, help="of how large the values are")
    parser.add_argument("--publish", action="store_true", help="keep the rows of all groups")
    parser.add_argument("--child", choices=GROUPS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds takes a number from 1 on, --scale one above 0")
    if options.publish and (options.groups or options.scale != 1):
        parser.error("--publish takes all groups, and values of their full size")
    return options


if __name__ == "__main__":
    sys.exit(main())
