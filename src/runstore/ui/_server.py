"""Serving the browser view on this computer."""

import errno
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstore.errors import InvalidRequestError, MissingExtraError

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["Served", "serve"]

_USUAL_PORT = 7420


@dataclass(frozen=True)
class Served:
    """What is served where.

    Attributes:
        address: What to open in a browser; the token is in it.
        local: Whether other computers cannot reach it.
    """

    address: str
    local: bool


def serve(
    store: "ObjectStore",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    with_token: bool = True,
    started: Callable[[Served], None],
) -> None:
    """Serve the browser view of a store until the process is interrupted.

    Args:
        store: What is shown.
        host: The name or address to listen on.
        port: The port; by default 7420, or a free one if that is taken. 0 for a free one.
        with_token: Whether only those may look who have the address that is printed.
        started: Called once, when the server listens.

    Raises:
        InvalidRequestError: It cannot listen there, or others could look without a token.
        MissingExtraError: The server is not installed.
    """
    try:
        import uvicorn

        from runstore.ui._app import application
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            f"runstore ui needs {exc.name!r}, which is not installed: pip install 'runstore[ui]'"
        ) from exc
    local = host in ("127.0.0.1", "localhost", "::1")
    if not (with_token or local):
        raise InvalidRequestError(
            f"ui: without a token everybody who reaches {host!r} could read the store: omit "
            "--no-token, or omit --host",
            host,
        )
    token = secrets.token_urlsafe(24) if with_token else None
    anywhere = host in ("0.0.0.0", "::")  # noqa: S104 - it is compared, not bound
    name = socket.gethostname() if anywhere else host  # which the printed address has
    app = application(store, token=token, host=name)
    listening = _listen(host, port)
    with listening:
        shown = f"[{name}]" if ":" in name else name
        query = f"?token={token}" if token else ""
        started(Served(f"http://{shown}:{listening.getsockname()[1]}/{query}", local))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (_USUAL_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except (OSError, OverflowError) as exc:
            failed: Exception = exc
    if isinstance(failed, OSError) and failed.errno == errno.EADDRINUSE:
        raise InvalidRequestError(
            f"ui: port {port} on {host} is in use: choose another --port, or 0 for a free one", host
        )
    why = getattr(failed, "strerror", None) or failed
    raise InvalidRequestError(
        f"ui: cannot listen on {host}, port {port}: {why}. Choose another --port or --host", host
    )
