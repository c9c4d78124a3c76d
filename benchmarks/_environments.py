"""An interpreter for each peer: this one, or one with the exact versions that a peer wants.

Peers pin each other out of one environment. Those that say what they `require` get one of
their own under `.bench/`, made once and kept until the requirements change.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import requirements

__all__ = ["NotInstalledError", "interpreter"]

_ROOT = Path(__file__).resolve().parents[1]
_ENVIRONMENTS = _ROOT / ".bench" / "environments"
_LIMIT = 600  # seconds for one installation


class NotInstalledError(Exception):
    """A peer's environment could not be made, or was not to be.

    Attributes:
        status: How a result calls it.
    """

    def __init__(self, message: str, status: str = "not installable") -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


def interpreter(name: str, *, install: bool = True) -> str:
    """Give the Python to run a peer with; installs what it needs, if it is not there yet.

    A failed installation is remembered until the end of the process, not longer: the
    next run tries again.

    Raises:
        NotInstalledError: It cannot be installed.
    """
    wanted = requirements(name)
    if not wanted:
        return sys.executable
    if not install:
        raise NotInstalledError("it needs an environment of its own", "not installed")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(json.dumps([version, *wanted]).encode()).hexdigest()[:8]
    folder = _ENVIRONMENTS / f"{wanted[0].partition('==')[0]}-{digest}"  # peers may share one
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        if digest in _failed:
            raise NotInstalledError(_failed[digest])
        print(f"  installing {' '.join(wanted)}", file=sys.stderr, flush=True)
        try:
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(str(python), "-m", "pip", "--no-input", "install", "--quiet", *wanted)
        except NotInstalledError as exc:
            _failed[digest] = str(exc)
            raise
        (folder / "made").touch()
    return str(python)


_failed: dict[str, str] = {}


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_LIMIT, cwd=_ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotInstalledError(f"its environment cannot be made: {exc}") from exc
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        said = " ".join(errors) or done.stderr[-300:]
        raise NotInstalledError(f"it cannot be installed: {said.strip()}")
