"""A proxy before an S3 server that logs each request and fails where it is told to."""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.servers.exchange import Exchange, Head, read_head
from tests.servers.faults import Fault

_LOGGED = frozenset(
    {
        *("content-length", "content-type", "expect", "host", "transfer-encoding", "user-agent"),
        *("if-match", "if-modified-since", "if-none-match", "range"),
        *("x-amz-copy-source", "x-amz-decoded-content-length"),
    }
)


@dataclass(frozen=True)
class Request:
    """One request that the proxy saw, and the fault it met."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]  # a few, by lower-case name; no signature
    fault: str | None = None


class FaultProxy:
    """Stand before a server; every request is logged, and passed on or failed.

    Faults are queued with `next`, or chosen by `plan`, which is asked when no queued fault
    matches. Headers pass unchanged, `Host` among them, since S3's signature covers it.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._lock = threading.Lock()
        self._queue: list[tuple[Fault, Callable[[Request], bool]]] = []
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self.plan: Callable[[int, str, str], Fault | None] | None = None
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []  # mistakes of the proxy itself; raised at its end
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            request_queue_size = 256
            daemon_threads = True
            block_on_close = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                raise AssertionError("_serve handles them")  # pragma: no cover

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="fault-proxy", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown()
        with self._lock:
            for client in self._open:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        self._listener.server_close()
        self._thread.join(10)
        if self.errors:
            raise self.errors[0]

    def next(self, *faults: Fault, when: Callable[[Request], bool] = lambda request: True) -> None:
        """Queue faults: each meets, once, the next request for which `when` holds."""
        with self._lock:
            self._queue += [(fault, when) for fault in faults]

    def clear(self) -> None:
        """Forget the log, and the faults that have not happened."""
        with self._lock:
            self.plan = None
            self._queue.clear()
            self.requests.clear()

    def counts(self) -> Counter[str]:
        """Count the logged requests by method."""
        with self._lock:
            return Counter(request.method for request in self.requests)

    def _choose(self, head: Head) -> Fault | None:
        method, target, _ = head.line.split(" ", 2)
        path, _, query = target.partition("?")
        headers = {name: value for name, value in head.headers.items() if name in _LOGGED}
        with self._lock:
            request = Request(len(self.requests) + 1, method, path, query, headers)
            chosen = next((entry for entry in self._queue if entry[1](request)), None)
            if chosen is not None:
                self._queue.remove(chosen)
                fault: Fault | None = chosen[0]
            else:
                fault = self.plan(request.number, method, path) if self.plan else None
            name = fault.name if fault else None
            self.requests.append(Request(request.number, method, path, query, headers, name))
        return fault

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection until either side closes it."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(client)
        try:
            with client.makefile("rb") as stream:
                keep = True
                while keep and not self._ended.is_set() and (head := read_head(stream)):
                    fault = self._choose(head)
                    exchange = Exchange(client, stream, head, self._upstream, self._ended)
                    exchange.forward() if fault is None else fault.run(exchange)
                    keep = exchange.keep
        except OSError:
            pass  # a side closed its end: what these tests are about
        except Exception as error:  # noqa: BLE001 - raised by __exit__, in the test's thread
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(client)
            # Not socketserver's polite shutdown, which would come before a reset.
            client.close()
