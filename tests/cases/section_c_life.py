"""Ctrl-C while a server says nothing."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.cases._case import case

_BY_THEN = 12  # seconds; on a quiet machine 2, and 18 to 58 before it was mended


@contextmanager
def silent_server() -> Iterator[str]:
    """Give the endpoint of a server that takes all it is sent and answers nothing."""
    ended, taken = threading.Event(), list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:

        def drain(connection: socket.socket) -> None:
            while not ended.is_set():
                try:
                    if not connection.recv(1 << 20):
                        return
                except OSError:
                    return

        def accept() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                taken.append(connection)
                threading.Thread(target=drain, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            for connection in taken:
                connection.close()


def interrupted(call: Callable[[], Any]) -> float:
    """Interrupt *call* after half a second; return how long it went on, in seconds."""
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    try:
        call()
    except KeyboardInterrupt:
        return time.monotonic() - begun - 0.5
    finally:
        timer.join()
    raise AssertionError("it was not interrupted")


def _verbs(view: Any, store: Any) -> dict[str, Callable[[], Any]]:
    large = bytes(20 << 20)
    return {
        "put": lambda: view.put("a", 1),
        "put of 1 MB": lambda: view.put("a", bytes(1 << 20)),
        "put in parts": lambda: view.put("a", large),
        "put, if_absent": lambda: view.put("a", 1, if_absent=True),
        "get": lambda: view.get("a"),
        "exists": lambda: view.exists("a"),
        "stat": lambda: view.stat("a"),
        "list": lambda: view.list(),
        "delete": lambda: view.delete("a"),
        "copy": lambda: view.copy("a", to_name="b"),
        "put_many": lambda: view.put_many({str(i): i for i in range(50)}),
        "get_many": lambda: view.get_many([str(i) for i in range(50)]),
        "delete_many": lambda: view.delete_many([str(i) for i in range(50)]),
        "runs": lambda: store.runs("n"),
    }


def _all_verbs(engine: str) -> None:
    from runstore import ObjectStore

    import_module(engine)  # an interrupt would end the import
    ObjectStore("memory://warm").at(namespace="n", run="r").put("a", 1)
    with silent_server() as endpoint:
        store = ObjectStore("s3://b/p", engine=engine, endpoint_url=endpoint, key="k", secret="s")
        view = store.at(namespace="n", run="r")
        took = {verb: interrupted(call) for verb, call in _verbs(view, store).items()}
    assert {} == {verb: seconds for verb, seconds in took.items() if seconds > _BY_THEN}


@case("C5", "Ctrl-C ends every verb on s3fs within two seconds, though the server is silent")
def ctrl_c_on_s3fs(folder: Path) -> None:
    _all_verbs("s3fs")


@case("C5", "Ctrl-C ends every verb on obstore within two seconds, though the server is silent")
def ctrl_c_on_obstore(folder: Path) -> None:
    _all_verbs("obstore")
