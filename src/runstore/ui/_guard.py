"""Who may ask, and what browsers may do with the answers.

The view shows whatever is stored, also what others have stored. So a page of another site must not
reach it (the token, the cookie that only same-site requests carry, the check of the ``Host``
header), and nothing that is shown may run or call out (the content security policy).
"""

import hmac
import ipaddress
import time
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FRAMED", "Guard"]

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
FRAMED = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""The policy of a stored file: it is shown, without scripts, and loads nothing."""

_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Guard:
    """Lets requests through to an application that come from whoever has the token.

    Args:
        app: The application; its ``state.closed`` makes a page that says why not.
        token: What a request has to have, in its address or its cookie; None for none.
        host: The name or address that the server was told to listen on.
        closed: Makes the answer to a request that is not let through, of title and reason.
    """

    def __init__(self, app: ASGIApp, token: str | None, host: str, closed: Any) -> None:
        self._app, self._token, self._host, self._closed = app, token, host.casefold(), closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                spent = (time.perf_counter() - began) * 1000
                headers["server-timing"] = f"app;dur={spent:.1f}"
                message["headers"] = headers.raw
            await send(message)

        answer = self._refusal(scope)
        await (self._app if answer is None else answer)(scope, receive, sent)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further; None for one that does."""
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return self._said(
                421,
                "This address is not served",
                "Use the address that runstore ui has printed. A name that leads to this computer "
                "is not accepted, since a foreign page could use one to read what is stored.",
            )
        if scope["method"] not in ("GET", "HEAD"):
            return self._said(405, "This view is read only", "It answers GET and HEAD.")
        if self._token is None or scope["path"].startswith("/static/"):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given:
            if not self._fits(given[0]):
                return self._denied()
            return self._with_cookie(scope, [one for one in query if one[0] != "token"])
        return None if self._fits(self._cookie(scope, headers)) else self._denied()

    def _is_ours(self, host: str) -> bool:
        """Return whether a request is for an address of ours, and not for a name of others.

        Behind a name of another site there may be this computer; behind a number there is not.
        """
        name = host.casefold()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        name = name.strip("[]")
        if name in ("localhost", self._host):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _fits(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _cookie(self, scope: Scope, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(scope))
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _with_cookie(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """Keep the token in a cookie, so that it is in no further address."""
        path = "/" + scope["path"].lstrip("/")  # two slashes would name another host
        from urllib.parse import quote

        answer = RedirectResponse(quote(path) + (f"?{urlencode(query)}" if query else ""), 303)
        answer.set_cookie(
            _cookie_name(scope), self._token or "", httponly=True, samesite="strict", path="/"
        )
        return answer

    def _denied(self) -> Response:
        return self._said(
            401,
            "The token is missing",
            "Open the whole address that runstore ui has printed, with its token. The token is new "
            "each time the server starts.",
        )

    def _said(self, status: int, title: str, message: str) -> Response:
        return Response(self._closed(title, message), status, media_type="text/html")


def _cookie_name(scope: Scope) -> str:
    """Return the name of the cookie; servers on other ports of this host have others."""
    server = scope.get("server")
    return f"runstore_{server[1] if server else 0}"
