"""Run the tests in other environments; one line for each says how it went.

``python -m tests.matrix`` runs all jobs, ``python -m tests.matrix lowest extras`` those two.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.matrix._environments import (
    ROOT,
    environment,
    extras,
    find_python,
    lowest,
    overlay,
    wheel,
)

_LIBRARIES = ["pandas", "polars", "s3", "s3-fast", "dask", "ray", "sklearn", "xarray", "testing"]
_EVERYTHING = ["--editable", f".[{','.join(_LIBRARIES)}]", "--group", "test"]
_NOT_FOR_VERSIONS = [
    "--ignore=tests/benchmarks",
    "--ignore=tests/servers",
    "--ignore=tests/examples",
]
_HUGE = {"torch"}  # gigabytes of GPU libraries; `make test-matrix ARGS=torch` installs it

# What the lowest versions do not limit by themselves, and yet cannot work with.
_OF_THEIR_TIME = [
    "scipy<1.16",  # scikit-learn 1.5 gives it arguments that it warns of
]

_RELEASES = {
    "cloudpickle==3.1.2": ["tests/test_by_value.py", "tests/workflow/test_failures.py"],
    "pandas==2.3.3": ["tests/codecs", "tests/docs"],
    "pyarrow==23.0.0": ["tests/codecs", "tests/format"],
}
"""Releases between the lowest and the newest at which a library changed what runstore relies on."""


def _with_lowest() -> None:
    """The lowest declared version of everything, on the lowest Python."""
    python = find_python("python3.11")
    limits = [limit for limit in lowest() if limit.partition("==")[0] not in _HUGE]
    limits += _OF_THEIR_TIME
    inside = environment("lowest", python, _EVERYTHING, limits)
    _pytest(inside, ["tests", *_NOT_FOR_VERSIONS, *_OLD_WARNINGS], **_OLD_BOTO)


def _with_python(version: str) -> None:
    """The newest release of everything, on another Python than the default environment's."""
    python = find_python(f"python{version}")
    inside = environment(f"python{version}", python, _EVERYTHING)
    _pytest(inside, ["tests", *_NOT_FOR_VERSIONS])


def _with_release(requirement: str) -> None:
    """The default environment with one older release in it."""
    path = os.pathsep.join([str(overlay(requirement)), str(ROOT)])
    _pytest(Path(sys.executable), _RELEASES[requirement], PYTHONPATH=path)


def _with_extra(name: str) -> None:
    """An empty environment with the package and one extra, as a user installs it."""
    built = wheel_once()
    what = f"runstore[{name}] @ {built.as_uri()}" if name else str(built)
    python = find_python(f"python3.{sys.version_info.minor}", sys.executable)
    inside = environment(f"extra-{name or 'none'}", python, [what])
    trips = Path(__file__).with_name("trips.py")
    with tempfile.TemporaryDirectory(prefix="rs-extra-") as folder:
        subprocess.run([inside, "-W", "error", trips, name or "none"], cwd=folder, check=True)


_wheel: list[Path] = []


def wheel_once() -> Path:
    """Build the wheel for the first job that installs it."""
    if not _wheel:
        _wheel.append(wheel())
    return _wheel[0]


def _pytest(python: Path, arguments: list[str], **variables: str) -> None:
    command = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"]
    caches = ["-p", "no:cacheprovider"]
    subprocess.run(
        [*command, *caches, *arguments], cwd=ROOT, env=os.environ | variables, check=True
    )


def _jobs() -> dict[str, Callable[[], None]]:
    return {
        "lowest": _with_lowest,
        "python3.13": partial(_with_python, "3.13"),
        "python3.14": partial(_with_python, "3.14"),
        **{f"release {name}": partial(_with_release, name) for name in _RELEASES},
        "no extra": partial(_with_extra, ""),
        **{f"extra {name}": partial(_with_extra, name) for name in extras()},
    }
