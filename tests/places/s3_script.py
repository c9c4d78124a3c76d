"""A server for small requests that says what it is told, byte by byte."""

import socket
import threading
import time

from runstore.places._cloud._wire import Condition, Span
from runstore.places._s3._config import S3Config
from runstore.places._s3._server import Server
from runstore.places._s3._small import SmallRequests

BODY = bytes(range(250)) * 4
ANY = Condition()
CLOSE = object()  # instead of an answer


class Last(bytes):
    """An answer behind which the line is closed."""


class Slow(bytes):
    """An answer that comes byte by byte, as long as somebody listens."""


class Script:
    """A server that answers one request after the other, over any line, as it was told."""

    def __init__(self, *answers, tls=None):
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked = []
        """What each line was asked, in the order of the lines."""
        self._answers = list(answers)
        self.then = lambda: None
        """Makes each answer behind the last."""
        self._open = []
        self._ends = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def ends_with_the_next_request(self):
        """Take no connection any more when the next request has come."""
        self._ends = True

    def methods(self):
        """Return the methods of all requests, line by line."""
        return [head.partition(b" ")[0].decode() for line in self.asked for head, _ in line]

    def mark(self):
        """Return the mark of the first write."""
        return self.asked[0][0][0].partition(b"runstore-write:")[2].split()[0].decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._listening.fileno() >= 0:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        self._thread.join()
        for line in self._open:
            line.close()

    def _accept(self):
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(line)
            self.asked.append([])
            threading.Thread(target=self._serve, args=(line, self.asked[-1]), daemon=True).start()

    def _serve(self, line, asked):
        if self._tls is not None:
            try:
                line = self._tls.wrap_socket(line, server_side=True)
            except OSError:  # the client does not trust it
                return
            self._open.append(line)
        came = b""
        while True:
            while b"\r\n\r\n" not in came:
                try:
                    more = line.recv(65536)
                except OSError:
                    return
                if not more:
                    return
                came += more
            head, _, came = came.partition(b"\r\n\r\n")
            length = int(
                (b"content-length:0\r\n" + head).rpartition(b"content-length:")[2].split()[0]
            )
            while len(came) < length:
                came += line.recv(65536)
            asked.append((head, came[:length]))
            came = came[length:]
            answer = self._answers.pop(0) if self._answers else self.then()
            if self._ends:
                self._listening.shutdown(socket.SHUT_RDWR)
                self._listening.close()
            try:
                if isinstance(answer, Slow):
                    for byte in answer:
                        line.sendall(bytes([byte]))
                        time.sleep(0.02)
                elif isinstance(answer, bytes):
                    line.sendall(answer)
            except OSError:  # nobody listens any more
                return
            if answer is CLOSE or isinstance(answer, Last):
                line.shutdown(socket.SHUT_RDWR)
                line.close()
                return


def found(body=BODY, *, status="206 Partial Content", **more):
    """Return the answer to a GET of a whole object."""
    headers = {
        "Content-Length": len(body),
        "Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}",
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "ETag": '"v1"',
        "x-amz-meta-Runstore-Write": "m1",
    } | {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def document(status, code, *, chunked=False):
    """Return an answer with a document about an error."""
    text = f"<Error><Code>{code}</Code><Message>it &amp; that</Message></Error>".encode()
    if not chunked:
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:9], text[9:], b""))
    return f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks


WRITTEN = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "v2"\r\n\r\n'


def requests_to(server, authority=None, host="127.0.0.1"):
    options = {"endpoint_url": f"http://{host}:{server.port}", "key": "k", "secret": "s"}
    if authority is not None:
        options["endpoint_url"] = f"https://127.0.0.1:{server.port}"
        options["client_kwargs"] = {"verify": str(authority)}
    return SmallRequests(Server(S3Config.resolve("bucket", options)))


def get(small, timeout=30.0, if_match=None):
    return small.get("p/a b", Span(0, 8 << 20), if_match, timeout)


def put(small, condition=ANY, timeout=30.0):
    return small.put("p/a b", [memoryview(b"one"), memoryview(b"two")], "m2", condition, timeout)
