"""moto: quick to start, a simulation; any secret will do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import free_ports, scratch, serving
from tests.servers.server import Server, answers


@contextmanager
def moto() -> Iterator[Server]:
    """Run moto's threaded server in a process of its own: about 1 s and 80 MB.

    Not in this one: it would take turns with the code under test, and a fork would copy its
    threads' locks.
    """
    with scratch() as directory, free_ports(1) as (port,):
        endpoint, log = f"http://127.0.0.1:{port}", directory / "moto.log"
        program = str(Path(__file__).with_name("moto_program.py"))
        command = [sys.executable, program, "-H", "127.0.0.1", "-p", str(port)]
        with serving(command, log=log, ready=lambda: answers(f"{endpoint}/moto-api/")):
            yield Server(endpoint, "moto", log)
