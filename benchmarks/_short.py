"""What takes no store: the cost of the import, and of finding out which run this is."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._process import child_environment
from benchmarks._rounds import Result

__all__ = ["SHORT", "run_short"]

_IMPORTS = {
    "empty interpreter": "pass",
    "import runstore": "import runstore",
    "from runstore import object_store": "from runstore import object_store",
}

_LOOKUPS = ("same name", "new names")

SHORT = {"import": tuple(_IMPORTS), "context lookup + key": _LOOKUPS}
"""Case to what is compared in it, the one that the others are compared with first."""


def run_short(*, rounds: int, quick: bool) -> list[Result]:
    """Measure both; each sample in a fresh process, interleaved."""
    found = {(case, name): _result(case, name) for case, names in SHORT.items() for name in names}
    rounds = 1 if quick else rounds
    for _ in range(1 if quick else 2 * rounds + 1):
        for name, code in _IMPORTS.items():
            started = time.perf_counter()
            error = _python("-c", code)[1]
            _add(found["import", name], time.perf_counter() - started, error)
    for _ in range(rounds):
        answer, error = _python("-m", "benchmarks._short", "100" if quick else "20000")
        seconds = json.loads(answer) if not error else {}
        for name in _LOOKUPS:
            _add(found["context lookup + key", name], seconds.get(name), error)
    return list(found.values())


def _python(*arguments: str) -> tuple[str, str | None]:
    """Run a fresh interpreter; what it printed, and what it died of."""
    command = [sys.executable, *arguments]
    env = child_environment()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    return done.stdout, done.stderr.strip()[-500:] or "no message" if done.returncode else None


def _add(result: Result, seconds: float | None, error: str | None) -> None:
    if error:
        result |= {"status": "failed", "error": error}
    else:
        result["samples"].setdefault("all", {"seconds": []})["seconds"].append(seconds)


def _result(case: str, peer: str) -> Result:
    return {
        "case": case,
        "suite": "headline",
        "peer": peer,
        "label": peer,
        "place": "process",
        "count": 1,
        "status": "ok",
        "error": None,
        "samples": {},
    }


def _look_ups(count: int) -> dict[str, float]:
    """Time what every verb does first: which run is this, and where does the name stand."""
    from runstore import get_run_context, run_context
    from runstore.keys import Place, key_of

    def key(name: str) -> str:
        ctx = get_run_context()
        return key_of(Place(ctx.namespace, ctx.run.name, name))

    def seconds(do: Callable[[str], Any], names: list[str]) -> float:
        started = time.perf_counter()
        for name in names:
            do(name)
        return (time.perf_counter() - started) / len(names)

    with run_context(namespace="benchmarks", store="memory://benchmarks"):
        key("warm-up")
        return {
            "same name": seconds(key, ["features/train"] * count),
            "new names": seconds(key, [f"features/{i}" for i in range(count)]),
        }


if __name__ == "__main__":
    print(json.dumps(_look_ups(int(sys.argv[1]))))
