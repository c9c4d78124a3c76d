"""An S3 client of aiobotocore that knows only what it is given: no environment, no profile."""

import asyncio
import inspect
import os
import re
import ssl
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore import UNSIGNED, handlers
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader, create_loader

from runstore.errors import SettingsError
from runstore.lifetime import Bounded
from runstore.places._s3._botocore_failures import STRANGER
from runstore.places._s3._config import S3Config
from runstore.places._s3._credentials import Credentials
from runstore.places._s3._network import system_certificates

__all__ = ["WATCHES", "connected", "load_model", "open_client"]

_models: Bounded[None, Loader] = Bounded(1)
_ERROR = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<Error[\s>]")
_XML = re.compile(rb"\s*<(?!html|!doctype)", re.IGNORECASE)
_CONNECT = 10.0  # seconds for a connection, at most


async def open_client(config: S3Config, timeout: float, leaving: AsyncExitStack) -> Any:
    """Return a client, entered into *leaving*.

    Args:
        config: How to reach the bucket.
        timeout: Seconds without a byte, at most.
        leaving: Closes the client.
    """
    session = AioSession(session_vars=_nothing(AioSession.SESSION_VARIABLES))
    session.register_component("data_loader", _model())
    if config.credentials is not None:
        session.register_component("credential_provider", _Provider(config.credentials))
    settings: dict[str, Any] = {
        "connect_timeout": min(_CONNECT, timeout),
        "read_timeout": timeout,
        "retries": {"total_max_attempts": 1, "mode": "legacy"},
        "max_pool_connections": 64,
        "s3": {"addressing_style": "path" if config.path_style else "virtual"},
        "proxies": _proxies(config),
        "use_fips_endpoint": False,  # the endpoint is the right one already
        "use_dualstack_endpoint": False,
        # Objects carry a digest of their own, and older servers do not know S3's newer ones.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    if config.credentials is None:
        settings["signature_version"] = UNSIGNED
    if WATCHES:
        settings["http_session_cls"] = _Watched
    made = session.create_client(
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        verify=_verify(config),
        config=AioConfig(**settings),
    )
    try:
        client = await leaving.enter_async_context(made)
    except ValueError as exc:  # of an underscore in the host's name
        raise SettingsError(
            f"botocore does not take the endpoint {config.endpoint} ({exc}): the host needs a name "
            "of letters, digits and '-', or use engine='obstore'"
        ) from exc
    client.meta.events.register_last("before-call.s3", _stay_in_region)
    # In the place of botocore's, which makes an internal error of whatever is not XML.
    builtin = getattr(handlers, "_handle_200_error", None)
    client.meta.events.unregister("before-parse.s3.*", builtin)
    client.meta.events.register_first("before-parse.s3.*", _look_into_success)
    return client


def _model() -> Loader:
    """Return what reads the description of S3's API: once for all clients, as it is megabytes.

    A forked child has it from its parent, and opens a client in a third of the time.
    """
    found = _models.get(None)
    if found is None:
        found = create_loader()
        _models.put(None, found)
    return found


def load_model() -> None:
    """Read the description of S3's API, before it is needed."""
    _model().load_service_model("s3", "service-2")
    _model().load_service_model("s3", "endpoint-rule-set-1")


def _verify(config: S3Config) -> bool | str:
    if config.endpoint.startswith("http:"):
        return False  # to read the certificates would be most of the time that a client takes
    return (system_certificates() or True) if config.verify is True else config.verify


def _nothing(variables: Any) -> dict[str, Any]:
    """Return botocore's session variables without the environment and the files they come from."""
    known = {name: (None, None, kind[2], *kind[3:]) for name, kind in variables.items()}
    for name in ("config_file", "credentials_file"):
        known[name] = (None, None, os.devnull, None)
    return known


def _proxies(config: S3Config) -> dict[str, str]:
    """Return the one proxy; an empty answer keeps botocore from asking the environment."""
    return {"http": config.proxy, "https": config.proxy} if config.proxy is not None else {}


def _stay_in_region(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from following a bucket into another region: the caller is told of it."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _look_into_success(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Detect errors with the status of a success, and answers that are not S3's."""
    body = response_dict.get("body")
    if response_dict.get("status_code") != 200 or not isinstance(body, bytes) or not body.strip():
        return
    if _ERROR.match(body):
        response_dict["status_code"] = 500
    elif not _XML.match(body):
        customized_response_dict[STRANGER] = True


connected: ContextVar[list[bool]] = ContextVar("connected")
"""Set by whoever makes a request to an empty list; not empty once there is a connection."""


class _Watched(AIOHTTPSession):  # type: ignore[misc]
    """A session that notes when a request has got a connection."""

    def _create_connector(self, *given: Any) -> Any:
        made = super()._create_connector(*given)
        return _noting_later(made) if inspect.isawaitable(made) else _noting(made)

    def _setup_proxy_ssl_context(self, proxy_url: str) -> Any:
        made = super()._setup_proxy_ssl_context(proxy_url)
        if made is None and _TRUSTS_ANY_BEHIND_A_PROXY:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # what is trusted is loaded into it
        return made


async def _noting_later(made: Any) -> Any:
    return _noting(await made)


def _noting(connector: Any) -> Any:
    connect = connector.connect

    async def noted(*args: Any, **kwargs: Any) -> Any:
        connection = await connect(*args, **kwargs)
        connected.get([]).append(True)
        return connection

    connector.connect = noted
    return connector


# aiobotocore 2 checks no certificate behind a proxy, unless that has a context of its own.
_TRUSTS_ANY_BEHIND_A_PROXY = not inspect.iscoroutinefunction(
    getattr(AIOHTTPSession, "_create_connector", None)
)
_OPTIONS = inspect.signature(AioConfig).parameters
WATCHES = hasattr(AIOHTTPSession, "_create_connector") and "http_session_cls" in _OPTIONS
"""False for older versions, which make their connector elsewhere: there all counts as sent."""


class _Provider(AioCredentials):  # type: ignore[misc]
    """Gives botocore the credentials of the store, instead of its own search."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__("", "")  # not used
        self._credentials = credentials

    async def load_credentials(self) -> "_Provider":
        return self

    async def get_frozen_credentials(self) -> Any:
        """Return what to sign this request with; looking it up may take long, so in a thread."""
        keys = self._credentials.at_hand() or await asyncio.to_thread(self._credentials.current)
        return ReadOnlyCredentials(*(keys or ("", "", None)))
