"""Run the cases, each in a process of its own, and print one line for each.

``python -m tests.cases`` runs all of them, ``python -m tests.cases A B2`` those of section A and
of the id B2.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cases import Case, every_case
from tests.usual_signals import use_usual_signals

_ROOT = Path(__file__).parents[2]


def main(wanted: list[str]) -> int:
    """Run the cases whose id is wanted, or begins with a wanted letter; all if none is."""
    use_usual_signals()
    cases = every_case()
    if wanted[:1] == ["--one"]:
        cases[int(wanted[1])].run(Path.cwd())
        return 0
    chosen = [
        index
        for index, case in enumerate(cases)
        if not wanted or case.id in wanted or case.id[0] in wanted
    ]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = pool.map(lambda index: _run(index, cases[index]), chosen)
        for index, (reason, seconds) in zip(chosen, runs, strict=True):
            case, outcome = cases[index], "ok" if reason is None else "FAILED"
            print(f"{case.id:4} {outcome:6} {seconds:6.1f} s  {case.title}", flush=True)
            if reason is not None:
                failed += 1
                print("\n".join(f"       | {line}" for line in reason.splitlines()[-25:]))
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


def _run(index: int, case: Case) -> tuple[str | None, float]:
    """Run one case; give the reason why it failed, or None, and the seconds it took."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "RUNSTORE_"))
    }
    env["PYTHONPATH"] = str(_ROOT)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rs-case-", ignore_cleanup_errors=True) as folder:
        env["HOME"] = folder  # no AWS profile of the user's
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cases", "--one", str(index)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output = process.communicate(timeout=case.seconds)[0].decode(errors="replace")
            failed = process.returncode != 0
        except subprocess.TimeoutExpired:
            output, failed = f"no end within {case.seconds} s", True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever the case has left running
            process.wait()
    reason = f"{output}\nexit status {process.returncode}" if failed else None
    return reason, time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
