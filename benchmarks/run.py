"""`python -m benchmarks run [SUITE …]`: run the cases, print the tables, keep every sample."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._machine import about
from benchmarks._places import Places
from benchmarks._process import Crew
from benchmarks._report import report
from benchmarks._results import RESULTS, load, save
from benchmarks._rounds import Result, run_case
from benchmarks._short import SHORT, run_short
from benchmarks.cases import CASES, SUITES, Case
from benchmarks.peers import MODULES, requirements

_OWN = Path(__file__).resolve().parents[1] / ".bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; each suite goes to a result file of its own, after each case.

    Returns:
        0; 1 if a peer that needs no environment of its own failed or gave back another value,
        or nothing is called that.
    """
    options = _options(arguments)
    output = Path(options.output) if options.output else RESULTS if options.publish else _OWN
    output.mkdir(parents=True, exist_ok=True)
    failed = found = False
    folder = Path(options.folder) if options.folder else output
    with tempfile.TemporaryDirectory(dir=folder, prefix=".run-") as scratch:
        crew = Crew(one=options.quick, install=not options.no_install)
        with Places(Path(scratch), patient=not options.quick) as places, crew:
            for suite in options.suites or ["headline"]:
                cases = [c for c in CASES if c.suite == suite and options.only in c.name]
                short = [name for name in SHORT if suite == "headline" and options.only in name]
                if not cases and not short:
                    continue
                results = _run(suite, cases, short, places, crew, options, output / f"{suite}.json")
                found = True
                failed |= any(map(_is_failure, results))
    if not found:
        print(f"no case has {options.only!r} in its name", file=sys.stderr)
        return 1
    return int(failed and not options.publish)


def _run(
    suite: str,
    cases: list[Case],
    short: list[str],
    places: Places,
    crew: Crew,
    options: argparse.Namespace,
    path: Path,
) -> list[Result]:
    chosen = {"quick": options.quick, "rounds": options.rounds, "only": options.only}
    where = about(path.parent, chosen)
    results = _kept(path, where) if options.resume else []
    done = {result["case"] for result in results}
    started = time.monotonic()
    for number, case in enumerate(cases, 1):
        if case.name in done:
            continue
        _say(f"{suite} {number}/{len(cases)}, {time.monotonic() - started:.0f} s: {case.name}")
        results += run_case(case, places, crew, rounds=options.rounds, quick=options.quick)
        save(path, where, results)
    if short and not done.issuperset(short):
        _say(f"{suite}: {', '.join(short)}")
        measured = run_short(rounds=options.rounds, quick=options.quick)
        results += [result for result in measured if result["case"] in short]
        save(path, where, results)
    report(results, where)
    return results


def _is_failure(result: Result) -> bool:
    """Whether the run ends with 1; what a store in its own environment cannot do is a result."""
    own = result["peer"] in MODULES and requirements(result["peer"])
    return result["status"] != "ok" and not own


def _kept(path: Path, about: dict[str, Any]) -> list[Result]:
    """Results of an interrupted run of the same code with the same options."""
    if not path.exists():
        return []
    earlier = load(path)
    same = all(earlier[key] == about[key] for key in ("commit", "options", "versions"))
    return list(earlier["results"]) if same else []


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks run", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help="tiny values, one round: does it run?")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    parser.add_argument("--rounds", type=int, default=5, help="how often at most; 5 if not given")
    parser.add_argument("--folder", help="an existing folder on the disk to measure")
    parser.add_argument("--output", help="a folder for the JSON; else .bench/")
    parser.add_argument("--publish", action="store_true", help="into benchmarks/results/")
    parser.add_argument(
        "--no-install", action="store_true", help="leave out peers that need an environment"
    )
    parser.add_argument("--resume", action="store_true", help="keep the cases that were done")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    if options.publish and options.quick:
        parser.error("what --quick measures is not to be published")
    for suite in options.suites:
        if suite not in SUITES:
            parser.error(f"{suite} is none of {', '.join(SUITES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
