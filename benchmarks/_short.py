"""What takes no store: the cost of the import, and of finding out which run this is."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._rounds import Result, child_environment

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
    imports: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    lookups: dict[str, list[float]] = {name: [] for name in _LOOKUPS}
    for _ in range(rounds if quick else 2 * rounds + 1):
        for name, code in _IMPORTS.items():
            started = time.perf_counter()
            _python("-c", code)
            imports[name].append(time.perf_counter() - started)
    for _ in range(rounds):
        answer = json.loads(_python("-m", "benchmarks._short", "100" if quick else "20000"))
        for name in _LOOKUPS:
            lookups[name].append(answer[name])
    return [
        *(_result("import", name, seconds) for name, seconds in imports.items()),
        *(_result("context lookup + key", name, seconds) for name, seconds in lookups.items()),
    ]


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=child_environment()
    ).stdout


def _result(case: str, peer: str, seconds: list[float]) -> Result:
    return {
        "case": case,
        "peer": peer,
        "label": peer,
        "place": "process",
        "count": 1,
        "status": "ok",
        "error": None,
        "samples": {"all": {"seconds": seconds}},
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
