"""Run the tests in other environments; one line for each says how it went.

``python -m tests.matrix`` runs all jobs; ``python -m tests.matrix lowest extra`` those whose name
begins so.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.matrix._environments import (
    ROOT,
    Unavailable,
    environment,
    extras,
    find_python,
    lowest,
    overlay,
    this_python,
    with_wheel,
)

_LIBRARIES = ["pandas", "polars", "s3", "s3-fast", "dask", "ray", "sklearn", "xarray"]
_LIBRARIES += ["fsspec", "gcs", "azure", "sftp", "webdav", "testing"]
_EVERYTHING = ["--editable", f".[{','.join(_LIBRARIES)}]", "--group", "test"]
_NOT_OF_VERSIONS = [f"--ignore=tests/{one}" for one in ("benchmarks", "examples", "servers")]
# Another Python changes how code crosses to processes, threads, signals, imports and tracebacks,
# not what the same releases of libraries make of values, which are most of the tests.
_NOT_OF_PYTHON = [
    *(f"--ignore=tests/{one}" for one in ("cli", "docs", "fuzz", "places", "versions")),
    *(f"--ignore-glob=*/codecs/test_{one}*" for one in ("pandas", "parquet", "arrow", "reading")),
]
# Ray is not in the default suite, and code that crosses to it depends on versions most of all.
_CLUSTERS = ["tests/engines", "tests/executors", "-m", "extended and not slow"]
_HUGE = {"torch"}  # gigabytes of GPU libraries; `make test-matrix ARGS=torch` installs it

# What the lowest versions do not limit by themselves, and yet cannot work with.
_OF_THEIR_TIME = [
    "scipy<1.16",  # scikit-learn 1.5 gives it arguments that it warns of
]

_OLD_BOTO = {"BOTO_EXPERIMENTAL__NO_EMPTY_CONTINUE": "true"}  # else its second put hangs
_OLD_WARNINGS = ["-o", "filterwarnings=default"]  # old releases warn of each other

_RELEASES = {
    "cloudpickle==3.1.2": ["tests/test_by_value.py", "tests/workflows/test_failures.py"],
    "pandas==2.3.3": ["tests/codecs", "tests/docs"],
    "pyarrow==23.0.0": ["tests/codecs", "tests/containers"],
}
"""Releases between the lowest and the newest at which a library changed what runstore relies on."""
_NEEDED = {"pandas==2.3.3": ["pytz"]}


def _with_lowest() -> None:
    """The lowest declared version of everything, on the lowest Python."""
    python = find_python("python3.11")
    limits = [limit for limit in lowest() if limit.partition("==")[0] not in _HUGE]
    limits += _OF_THEIR_TIME
    inside = environment("lowest", python, _EVERYTHING, limits)
    _pytest(inside, ["tests", *_NOT_OF_VERSIONS, *_OLD_WARNINGS], **_OLD_BOTO)
    _pytest(inside, [*_CLUSTERS, *_OLD_WARNINGS], **_OLD_BOTO)


def _with_python(version: str) -> None:
    """The newest release of everything, on another Python than the default environment's."""
    python = find_python(f"python{version}")
    inside = environment(f"python{version}", python, _EVERYTHING)
    _pytest(inside, ["tests", *_NOT_OF_VERSIONS, *_NOT_OF_PYTHON])
    _pytest(inside, _CLUSTERS)


def _with_nothing_optional() -> None:
    """Nothing that is optional, on the Python of the default environment."""
    tools = ["pytest>=8.3,<9.2", "pytest-timeout>=2.3", "pytest-xdist>=3.6"]
    inside = environment("core", this_python(), ["--editable", ".[testing]", *tools])
    _pytest(inside, ["tests", *_NOT_OF_VERSIONS, *_NOT_OF_PYTHON])


def _with_release(requirement: str) -> None:
    """The default environment with one older release in it."""
    path = os.pathsep.join([str(overlay(requirement, *_NEEDED.get(requirement, []))), str(ROOT)])
    _pytest(Path(sys.executable), [*_RELEASES[requirement], *_OLD_WARNINGS], PYTHONPATH=path)


def _with_extra(name: str) -> None:
    """An empty environment with the package and one extra, as a user installs it."""
    inside = with_wheel(f"extra-{name or 'none'}", this_python(), f"[{name}]" if name else "")
    trips = Path(__file__).with_name("trips.py")
    with tempfile.TemporaryDirectory(prefix="rs-extra-") as folder:
        _run([inside, trips, name or "none"], folder)


def _with_readme() -> None:
    """What README says is to be installed, and then its first steps."""
    readme = (ROOT / "README.md").read_text()
    line = re.search(r"pip install '?runstore(\[[a-z,0-9-]*\])?'?", readme)
    assert line is not None, "README.md has no line that installs runstore"
    inside = with_wheel("readme", this_python(), line[1] or "")
    steps = readme.partition("\n## In a notebook")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", steps, re.DOTALL))
    assert code
    with tempfile.TemporaryDirectory(prefix="rs-readme-") as folder:
        Path(folder, "steps.py").write_text(code)
        _run([inside, "steps.py"], folder)


def _pytest(python: Path, arguments: list[str], **variables: str) -> None:
    command = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"]
    _run([*command, "-p", "no:cacheprovider", *arguments], ROOT, **variables)


def _run(command: list[str | Path], folder: str | Path, **variables: str) -> None:
    subprocess.run(command, cwd=folder, env=os.environ | variables, check=True)


def _jobs() -> dict[str, Callable[[], None]]:
    return {
        "lowest": _with_lowest,
        "core": _with_nothing_optional,
        "python3.12": partial(_with_python, "3.12"),
        "python3.13": partial(_with_python, "3.13"),
        "python3.14": partial(_with_python, "3.14"),
        **{f"release {name}": partial(_with_release, name) for name in _RELEASES},
        "readme": _with_readme,
        "extra none": partial(_with_extra, ""),
        **{f"extra {name}": partial(_with_extra, name) for name in extras()},
    }


def main(wanted: list[str]) -> int:
    """Run the jobs whose name begins with a wanted word; all but the huge if none is."""
    outcomes, failed = [], 0
    for name, job in _jobs().items():
        if not (name.startswith(tuple(wanted)) if wanted else name.split()[-1] not in _HUGE):
            continue
        print(f"--- {name}: {job.func.__doc__ if isinstance(job, partial) else job.__doc__}")
        sys.stdout.flush()
        begun = time.monotonic()
        try:
            job()
        except Unavailable as exc:
            outcome = f"skipped: {exc}"
        except (subprocess.CalledProcessError, AssertionError) as exc:
            failed += 1
            outcome = f"FAILED: {exc}"
        else:
            outcome = "ok"
        outcomes.append(f"{name:22} {time.monotonic() - begun:6.0f} s  {outcome}")
        print(f"--- {outcomes[-1]}", flush=True)
    print("\n".join(outcomes))
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
