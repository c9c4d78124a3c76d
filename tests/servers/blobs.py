"""A service that keeps blobs over HTTP, as a team might have one; see `examples/blob_place.py`."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN, PAGE = "test-token", 3


class Handler(BaseHTTPRequestHandler):
    """Answers the requests; see the example."""

    blobs: dict[str, tuple[bytes, str, float]]
    lock: threading.Lock
    writes: "itertools.count[int]"

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        """Give a blob, a range of it, or a page of the listing."""
        if not self._may_enter():
            return
        url = urlsplit(self.path)
        if url.path == "/blobs":
            self._list({name: found[0] for name, found in parse_qs(url.query).items()})
            return
        found = self.blobs.get(self._key())
        if found is None:
            self._say(404)
            return
        data, tag, at = found
        facts = {"ETag": tag, "X-Size": len(data), "X-Modified": at}
        if self.headers.get("If-None-Match") == tag:
            self._say(304, facts)
            return
        if wanted := self.headers.get("Range"):
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            first = int(start) if start else max(0, len(data) - int(end))
            data = data[first : int(end) + 1 if start else len(data)]
        self._say(200, facts, data)

    def do_PUT(self):
        """Keep a blob, if the conditions hold."""
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may_enter():
            return
        with self.lock:
            there = self.blobs.get(self._key())
            if self.headers.get("If-None-Match") == "*" and there is not None:
                self._say(412)
                return
            wanted = self.headers.get("If-Match")
            if wanted is not None and (there is None or there[1] != wanted):
                self._say(412)
                return
            tag, at = f'"{next(self.writes)}"', time.time()
            self.blobs[self._key()] = data, tag, at
        self._say(201, {"ETag": tag, "X-Size": len(data), "X-Modified": at})

    def do_DELETE(self):
        """Remove a blob."""
        if self._may_enter():
            self._say(204 if self.blobs.pop(self._key(), None) else 404)

    def _list(self, query):
        with self.lock:
            keys = sorted(
                key
                for key in self.blobs
                if key.startswith(query["prefix"]) and key > query.get("after", "")
            )
            page = [
                {"key": key, "size": len(data), "modified": at, "etag": tag}
                for key in keys[:PAGE]
                for data, tag, at in [self.blobs[key]]
            ]
        self._say(200, {}, json.dumps({"blobs": page, "more": len(keys) > PAGE}).encode())

    def _key(self):
        return unquote(urlsplit(self.path).path).removeprefix("/blobs/")

    def _may_enter(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._say(403)
        return False

    def _say(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def blobs() -> Iterator[str]:
    """Run the service in threads of this process; give its address."""
    state = {"blobs": {}, "lock": threading.Lock(), "writes": itertools.count(1)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), state))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
