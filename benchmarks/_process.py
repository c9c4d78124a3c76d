"""The processes that peers work in, as the harness sees them."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, Self

from benchmarks._environments import interpreter
from benchmarks.peers import requirements

__all__ = ["Crew", "Worker", "child_environment"]

_ROOT = Path(__file__).resolve().parents[1]
_LIMIT = 600.0  # seconds that one answer may take; filling a bucket is one


class Worker:
    """One process; answers one line of JSON with one."""

    def __init__(self, name: str, *, install: bool) -> None:
        command = [interpreter(name, install=install), "-m", "benchmarks._worker"]
        self.home = tempfile.TemporaryDirectory(prefix="bench-home-")
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=self.home.name,  # some peers leave files where they are started
            env=child_environment(own=bool(requirements(name))) | {"HOME": self.home.name},
        )

    def tell(self, turn: dict[str, Any]) -> None:
        """Have it do something; the answer is waited for apart."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died; the answer that does not come says so
            print(json.dumps(turn), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Wait for the answer; it has ``error`` if the process died or took too long."""
        assert self._process.stdout is not None
        timer = Timer(_LIMIT, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        return json.loads(line) if line else {"error": self._last_words()}

    def alive(self) -> bool:
        """Whether it can still answer."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        self.home.cleanup()

    def _last_words(self) -> str:
        self._log.seek(0)
        said = self._log.read().strip()[-500:]
        return f"its process ended or took more than {_LIMIT:.0f} s: {said or 'no message'}"


class Crew:
    """Gives workers: a fresh one for each peer and case.

    Where nobody looks at figures, one for all that need no environment of their own:
    interpreters and imports take longer than tiny cases. Answers come in the order asked.
    """

    def __init__(self, *, one: bool, install: bool) -> None:
        self._one, self._install = one, install
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.close()

    def worker(self, name: str) -> Worker:
        """Give a worker for a peer.

        Raises:
            NotInstalledError: The peer's environment cannot be made, or is not to be.
        """
        if not self._one or requirements(name):
            return Worker(name, install=self._install)
        if self._worker is None or not self._worker.alive():
            self._worker = Worker(name, install=self._install)
        return self._worker

    def release(self, worker: Worker) -> None:
        """Take a worker back."""
        if worker is not self._worker:
            worker.close()


def child_environment(*, own: bool = False) -> dict[str, str]:
    """Give a child this process's modules, also when run from a checkout.

    Args:
        own: It has an environment of its own and gets the benchmarks alone.
    """
    paths = [str(_ROOT)] if own else [str(_ROOT), *(path for path in sys.path if path)]
    quiet = {"PYTHONWARNINGS": "ignore", "DO_NOT_TRACK": "1"}
    return os.environ | quiet | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
