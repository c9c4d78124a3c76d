"""`python -m benchmarks`: run the cases, print the tables, keep every sample."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._machine import commit, machine, versions
from benchmarks._report import report
from benchmarks._rounds import Result, run_case
from benchmarks._short import SHORT, run_short
from benchmarks.cases import CASES, Case

_RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for.

    Returns:
        0; 1 if a peer failed, gave back another value, or nothing is called that.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["s3"]:
        from benchmarks import s3

        return s3.main(given[1:])
    if given[:1] == ["engines"]:
        from benchmarks import engines

        return engines.main(given[1:])
    options = _options(given)
    cases = [case for case in CASES if _wanted(case, options)]
    short = any(options.only in name for name in SHORT)
    if not cases and not short:
        print(f"no case has {options.only!r} in its name", file=sys.stderr)
        return 1
    now, rounds = datetime.now(UTC), 1 if options.quick else options.rounds
    _RESULTS.mkdir(exist_ok=True)
    folder = Path(options.folder or _RESULTS)
    about = {
        "format": 1,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(folder),
        "versions": versions(),
        "options": {"quick": options.quick, "rounds": rounds, "only": options.only},
    }
    results: list[Result] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".run-") as scratch:
        for case in cases:
            print(f"{case.name} …", file=sys.stderr, flush=True)
            results += run_case(case, Path(scratch), rounds=rounds, quick=options.quick)
    if short:
        wanted = [name for name in SHORT if options.only in name]
        print(f"{', '.join(wanted)} …", file=sys.stderr, flush=True)
        found = run_short(rounds=rounds, quick=options.quick)
        results += [result for result in found if result["case"] in wanted]
    report(results, about)
    name = f"{now:%Y%m%dT%H%M%S}-{commit().replace('+', '-changed')}.json"
    output = Path(options.output or _RESULTS / name)
    output.write_text(json.dumps(about | {"results": results}, indent=1) + "\n")
    print(f"\nevery sample: {output}")
    return int(any(result["status"] != "ok" for result in results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny values, one round: does it run?")
    parser.add_argument("--large", action="store_true", help="the 1 GB cases, too")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--folder", help="an existing folder on the disk to measure")
    parser.add_argument("--output", help="where the JSON goes; else benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return options


def _wanted(case: Case, options: argparse.Namespace) -> bool:
    return options.only in case.name and (options.large or not case.large)


if __name__ == "__main__":
    sys.exit(main())
