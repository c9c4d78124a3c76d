"""moto's server, which applies one write at a time.

moto checks the condition of a write and then writes, in one of many threads. Between the two
another write may come, and an update is lost that S3 would have refused.
"""

import io
import threading
from collections.abc import Iterable
from typing import Any

import moto.server

_one_at_a_time = threading.Lock()


class _Serialized:
    """A WSGI application whose writes wait for each other, once their bodies are here."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") or (
            environ["REQUEST_METHOD"] != "DELETE" and not length
        ):
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        body = environ["wsgi.input"].read(int(length or 0))  # a slow sender holds up nobody
        environ["wsgi.input"] = io.BytesIO(body)
        with _one_at_a_time:
            return list(self._app(environ, start_response))


if __name__ == "__main__":
    run_simple = moto.server.run_simple
    moto.server.run_simple = lambda host, port, app, **options: run_simple(
        host, port, _Serialized(app), **options
    )
    moto.server.main()
