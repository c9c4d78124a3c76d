"""Run a server as a child process that cannot outlive the tests."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Asks the kernel (Linux) to kill this process with its parent, then becomes the server. A
# `preexec_fn` would do the same, but warns in a process that has threads (Python 3.12).
_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServerError(Exception):
    """A server did not start; the message ends with its log."""


def poll(condition: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """Wait until the condition holds, and say whether it did within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Reserve ports on 127.0.0.1 that nobody listens on, until the end of the block.

    The UDP port of the same number is held meanwhile: two test processes never reserve the
    same port, even before their servers listen. The numbers lie below those that the kernel
    gives to outgoing connections.
    """
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(range(12_000, 32_000), 2_000):
            if len(ports) == count:
                break
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(("127.0.0.1", port))
                with socket.socket() as tcp:
                    tcp.bind(("127.0.0.1", port))
            except OSError:
                udp.close()
            else:
                held.enter_context(udp)
                ports.append(port)
        yield ports


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory with a short path (Unix sockets allow 108 bytes), removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="rs-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # a server may still have been writing


@contextmanager
def serving(
    command: list[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    seconds: float = 300,
    env: dict[str, str] | None = None,
) -> Iterator[int]:
    """Run the command until the end of the block, which begins when it is ready; give its pid."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _LAUNCH, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # its own process group, and no Ctrl-C from the terminal
        )
    try:
        poll(lambda: process.poll() is not None or ready(), seconds=seconds)
        if process.poll() is not None or not ready():
            what = "ended" if process.poll() is not None else f"was not ready after {seconds} s"
            raise ServerError(f"{command[0]} {what}; its log ends:\n{tail(log)}")
        yield process.pid
    finally:
        # Nothing is kept, so nothing needs to be flushed: SeaweedFS takes 15 s to end politely.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)


def tail(log: Path, size: int = 4_000) -> str:
    """Give the end of a log."""
    return log.read_text(errors="replace")[-size:] if log.exists() else "(no log)"


def program(name: str) -> str:
    """Find a program that a wheel put beside this interpreter, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ServerError(f"{name} is not installed: install the `test` dependency group")
    return found
