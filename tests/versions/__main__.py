"""Write values with older and newer libraries, and read each with all of them.

``python -m tests.versions`` makes an environment for each of `_ENVIRONMENTS`, once, under
``.matrix``; each writes all values, then each reads what all wrote. One line for each value and
pair that did not come back the same says what came instead; the last lines count. A value has to
come back exactly, or with an error that names both versions.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.matrix._environments import ROOT, Unavailable, environment, find_python, lowest

_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow")
_LOWEST = dict(limit.split("==") for limit in lowest())
_PACKAGE = ["--editable", ".[pandas,polars,xarray]"]

_ENVIRONMENTS: dict[str, list[str]] = {
    "newest": [],
    "lowest": [f"{name}=={_LOWEST[name]}" for name in (*_LIBRARIES, "xarray")],
    # One older library among newest ones. Of pandas, the first that also works with NumPy 2, and
    # the last before its texts changed.
    "pandas 2.2": ["pandas==2.2.*"],
    "pandas 2.3": ["pandas==2.3.*"],
    "polars lowest": [f"polars=={_LOWEST['polars']}"],
    "pyarrow lowest": [f"pyarrow=={_LOWEST['pyarrow']}"],
    # The newest pyarrow takes no NumPy before 2.
    "numpy lowest": [f"{name}=={_LOWEST[name]}" for name in ("numpy", "pyarrow")],
}
"""Name to what limits the newest releases there."""


def main() -> int:
    """Run all pairs; return 1 if a value came back changed, or with another error."""
    try:
        python = find_python("python3.11", "python3.12")  # which all these releases know
    except Unavailable as exc:
        print(f"skipped: {exc}")
        return 0
    made = {}
    for name, limits in _ENVIRONMENTS.items():
        print(f"--- {name}", flush=True)
        folder = f"versions-{name.replace(' ', '-')}"
        made[name] = environment(folder, python, _PACKAGE, limits)
    with tempfile.TemporaryDirectory(prefix="rs-versions-") as place:
        for name in made:
            _trip(made[name], "write", place, name)
        for name in made:
            _trip(made[name], "read", place, name, *made)
        return _report(Path(place), list(made))


def _trip(python: Path, *arguments: str) -> None:
    command = [python, "-m", "tests.versions._trip", *arguments]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def _report(place: Path, names: list[str]) -> int:
    counts: Counter[str] = Counter()
    for reader in names:
        for writer, outcomes in json.loads((place / f"read-by-{reader}.json").read_text()).items():
            for value, outcome in outcomes.items():
                counts[outcome.partition(" ")[0].rstrip(":")] += 1
                if outcome != "same":
                    print(f"{value}: {writer} -> {reader}: {outcome}")
    for name in names:
        document = json.loads((place / f"{name}.json").read_text())
        versions = ", ".join(f"{one} {version}" for one, version in document["versions"].items())
        print(f"{name:15} {len(document['values'])} values, {versions}")
    print(f"{counts['same']} the same, {counts['told']} errors that name both versions")
    print(f"{counts.total() - counts['WRONG']} passed, {counts['WRONG']} failed")
    return 1 if counts["WRONG"] or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
