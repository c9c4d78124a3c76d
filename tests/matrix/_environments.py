"""Environments of the matrix: made with venv and pip, kept under ``.matrix`` until they change."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "KEPT",
    "ROOT",
    "Python",
    "Unavailable",
    "environment",
    "extras",
    "find_python",
    "lowest",
    "overlay",
    "this_python",
    "with_wheel",
]

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".matrix"
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9.]*)")


class Unavailable(Exception):
    """What a job needs cannot be had on this machine; the message says what."""


class Python(NamedTuple):
    """An interpreter.

    Attributes:
        path: Where it is.
        version: As ``3.13.0``.
    """

    path: str
    version: str


def find_python(*names: str) -> Python:
    """Return the first of *names* that is on the PATH, or in pyenv's own folder, and runs.

    Raises:
        Unavailable: There is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for name in names:
        for candidate in [name, *map(str, sorted(pyenv.glob(f"*/bin/{name}")))]:
            code = "import ensurepip, platform, venv; print(platform.python_version())"
            try:
                found = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
            except OSError:
                continue
            if found.returncode == 0:
                return Python(candidate, found.stdout.strip())
    raise Unavailable(f"{' or '.join(names)} is not on the PATH")


def extras() -> dict[str, list[str]]:
    """Return what each extra requires."""
    found: dict[str, list[str]] = _PROJECT["project"]["optional-dependencies"]
    return {name: required for name, required in found.items() if name != "all"}


def lowest() -> list[str]:
    """Return the lowest declared version of each dependency and of each extra, as constraints."""
    declared = [*_PROJECT["project"]["dependencies"]]
    for required in extras().values():
        declared += required
    versions = {}
    for requirement in declared:
        match = _REQUIREMENT.match(requirement)
        assert match is not None, f"{requirement} declares no lowest version"
        assert match[2] == versions.setdefault(match[1], match[2]), f"{match[1]} has two"
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def environment(
    name: str, python: Python, requirements: list[str], constraints: Iterable[str] = ()
) -> Path:
    """Return the interpreter of an environment; it is made anew when what it holds has changed.

    Args:
        name: That of its folder.
        python: Its interpreter.
        requirements: What pip is given.
        constraints: Versions to keep to.

    Raises:
        CalledProcessError: pip failed; its messages are on standard error.
    """
    folder = KEPT / name
    inside = folder / "bin" / "python"

    def make() -> None:
        subprocess.run([python.path, "-m", "venv", "--clear", folder], check=True)
        limits = folder / "constraints.txt"
        limits.write_text("\n".join(constraints))
        _pip(inside, "--no-compile", "--upgrade", "pip>=25.1")
        # Python compiles what is imported, which is a small part of what an orchestrator brings.
        _pip(inside, "--no-compile", "--constraint", str(limits), *requirements)

    _kept(folder, [python.version, requirements, [*constraints], _declared(requirements)], make)
    return inside


def overlay(requirement: str, *more: str) -> Path:
    """Return a folder that has nothing but one release of one package, to be put on the path.

    Args:
        requirement: The release.
        more: What that one needs and the default environment has not.
    """
    folder = KEPT / "release" / requirement
    command = ["--no-deps", "--upgrade", "--target", str(folder), requirement, *more]
    _kept(folder, [sys.version, requirement, *more], lambda: _pip(Path(sys.executable), *command))
    return folder


def this_python() -> Python:
    """Return the interpreter that this one was made from."""
    found = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    return find_python(str(found), f"python3.{sys.version_info.minor}", sys.executable)


def with_wheel(name: str, python: Python, extra: str) -> Path:
    """Return the interpreter of an environment in which users' own build of this project is.

    Args:
        name: That of its folder.
        python: Its interpreter.
        extra: Which extra, as ``[pandas]``, or nothing.
    """
    built = _wheel()
    inside = environment(name, python, [f"runstore{extra} @ {built.as_uri()}"])
    _pip(inside, "--force-reinstall", "--no-deps", str(built))  # it may have changed since
    return inside


@cache
def _wheel() -> Path:
    folder = KEPT / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    _pip(Path(sys.executable), "--no-deps", "--wheel-dir", str(folder), str(ROOT), verb="wheel")
    return next(folder.glob("*.whl"))


def _declared(requirements: list[str]) -> list[Any]:
    """Return what the project declares of that which *requirements* make pip install.

    That are its dependencies, its entry points, and the extras and groups that are named: what
    others declare must not make an environment anew, which takes minutes.
    """
    project = _PROJECT["project"]
    named: set[str] = set()
    for requirement in requirements:
        if found := re.match(r"(?:\.|runstore)\[([^]]*)\]", requirement):
            named |= {*found[1].split(",")}
    groups = {after for word, after in pairwise(requirements) if word == "--group"}
    declared = {name: required for name, required in extras().items() if name in named}
    return [
        project["dependencies"],
        [project["scripts"], project["entry-points"]],
        declared,
        {name: _PROJECT["dependency-groups"][name] for name in sorted(groups)},
    ]


def _kept(folder: Path, content: list[Any], make: Callable[[], None]) -> None:
    stamp = folder / ".stamp"
    expected = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == expected:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    make()
    stamp.write_text(expected)


def _pip(python: Path, *arguments: str, verb: str = "install") -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", verb, "--quiet"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
