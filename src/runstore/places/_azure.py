"""Azure Blob Storage through obstore: ``abfs://container/prefix``.

The options and variables are those of adlfs, which is used where obstore is not installed or does
not know an option.
"""

import os
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import SettingsError
from runstore.places._azure_handover import presigned, reader_options
from runstore.places._cloud._services import ServiceBackend, ServiceClient
from runstore.places._guarantees import Guarantees
from runstore.places._registry import Opening, shown_url

__all__ = ["AzureBackend", "is_understood", "open_azure"]

_VARIABLES = {
    "account_name": "AZURE_STORAGE_ACCOUNT_NAME",
    "account_key": "AZURE_STORAGE_ACCOUNT_KEY",
    "connection_string": "AZURE_STORAGE_CONNECTION_STRING",
    "sas_token": "AZURE_STORAGE_SAS_TOKEN",
    "client_id": "AZURE_STORAGE_CLIENT_ID",
    "client_secret": "AZURE_STORAGE_CLIENT_SECRET",
    "tenant_id": "AZURE_STORAGE_TENANT_ID",
}
"""The options that adlfs takes from the environment, too."""

_KNOWN = frozenset(_VARIABLES) | {"anon", "account_host"}
_CODES = {
    "BlobNotFound": "NoSuchKey",
    "ContainerNotFound": "NoSuchBucket",
    "ContainerBeingDeleted": "NoSuchBucket",
    "BlobAlreadyExists": "PreconditionFailed",
    "ConditionNotMet": "PreconditionFailed",
    "TargetConditionNotMet": "PreconditionFailed",
    "AuthenticationFailed": "AccessDenied",
    "AuthorizationFailure": "AccessDenied",
    "AuthorizationPermissionMismatch": "AccessDenied",
    "NoAuthenticationInformation": "AccessDenied",
    "InsufficientAccountPermissions": "AccessDenied",
    "AccountIsDisabled": "AccessDenied",
    "ServerBusy": "SlowDown",
    "OperationTimedOut": "RequestTimeout",
}
_DEVELOPMENT = {  # Azurite's one account, which is in its documentation
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
    "KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}


class AzureBackend(ServiceBackend):
    """Objects in a container of Azure Blob Storage."""

    promised = Guarantees(
        atomic_put="native",
        create=None,
        compare_and_swap=None,
        ranges=True,
        versions="write",
        server_copy=False,  # it may go on after the answer, and obstore does not wait for it
        mapped=False,
        shared=True,
    )
    hides_misses = True
    variables = (*_VARIABLES.values(), "AZURE_STORAGE_ANON")

    def _client(self, timeout: float) -> tuple[ServiceClient, str]:
        settings = _settings(self.url, self._options)
        host = settings.get("endpoint") or f"{settings['account_name']}.blob.core.windows.net"
        make = partial(_store, self._bucket, settings)
        where = f"{self.url.partition('://')[0]}://{self._bucket}"
        return _AzureClient(where, timeout, make, host, _CODES), host

    def presigned(self, key: str, seconds: int, method: str) -> str:
        """See `ServiceBackend.presigned`."""
        settings = _settings(self.url, self._options)
        if settings.get("account_key") is None:
            raise self._unsigned(key)
        return presigned(settings, self._bucket, self._name(key), seconds, method)

    def reader_options(self, reader: str) -> dict[str, Any]:
        """See `ServiceBackend.reader_options`."""
        return reader_options(_settings(self.url, self._options), reader)


class _AzureClient(ServiceClient):
    mark = "runstore_write"  # names of metadata are identifiers there
    suffixes = False


def open_azure(opening: Opening) -> AzureBackend:
    """Open a container through obstore.

    Raises:
        SettingsError: The URL or an option is not understood.
    """
    bucket, account, prefix = _split(opening.url)
    unknown = sorted(opening.options.keys() - _KNOWN)
    if unknown:
        raise SettingsError(
            f"the storage option {unknown[0]} is not understood by engine='obstore': omit it, or "
            "choose engine='adlfs'"
        )
    options = dict(opening.options)
    if account is not None:
        options.setdefault("account_name", account)
    _settings(opening.url, options)
    return AzureBackend(opening.url, bucket, prefix, opening.timeout, options)


def is_understood(opening: Opening) -> bool:
    """Return whether obstore is given all that it needs, and nothing that it does not know.

    Where credentials are not given, but have to be found, that is left to adlfs, if it is there.
    """
    options = opening.options
    if options.keys() - _KNOWN:
        return False
    found = {n: options.get(n) or os.environ.get(v) for n, v in _VARIABLES.items()}
    given = any(found[name] for name in ("account_key", "connection_string", "sas_token"))
    given |= all(found[name] for name in ("client_id", "client_secret", "tenant_id"))
    return given or _anonymous(options) or find_spec("adlfs") is None


def _split(url: str) -> tuple[str, str | None, str]:
    """Return container, account and prefix of ``abfs://container@account.host/prefix``.

    Raises:
        SettingsError: It names no container.
    """
    parts = urlsplit(url)
    container, at, host = parts.netloc.partition("@")
    if not container or ":" in container:
        raise SettingsError(f"{shown_url(url)} names no container: write abfs://container/prefix")
    prefix = parts.path.strip("/")
    return container, host.partition(".")[0] if at else None, f"{prefix}/" if prefix else ""


def _settings(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of obstore's store.

    Raises:
        SettingsError: The account is not named, or the connection string is not understood.
    """
    given = {
        name: options.get(name) or os.environ.get(variable) for name, variable in _VARIABLES.items()
    }
    words = _words(str(given.pop("connection_string") or ""))
    if words:
        given["account_name"] = words.get("AccountName") or given["account_name"]
        given["account_key"] = words.get("AccountKey") or given["account_key"]
        given["sas_token"] = words.get("SharedAccessSignature") or given["sas_token"]
    endpoint = words.get("BlobEndpoint")
    if endpoint is None and (suffix := words.get("EndpointSuffix")) and given["account_name"]:
        scheme = words.get("DefaultEndpointsProtocol", "https")
        endpoint = f"{scheme}://{given['account_name']}.blob.{suffix}"
    if host := options.get("account_host"):
        endpoint = f"https://{host}"
    if not given["account_name"] and endpoint is not None:
        given["account_name"] = str(urlsplit(endpoint).hostname).partition(".")[0]
    if not given["account_name"]:
        raise SettingsError(
            f"{shown_url(url)}: the account is not named: give account_name=, or set "
            "AZURE_STORAGE_ACCOUNT_NAME"
        )
    if _anonymous(options):
        given |= {"account_key": None, "sas_token": None, "skip_signature": True}
    found = {name: value for name, value in given.items() if value is not None}
    return found | ({"endpoint": endpoint.rstrip("/")} if endpoint is not None else {})


def _anonymous(options: Mapping[str, Any]) -> bool:
    given = options.get("anon")
    if given is None:
        given = os.environ.get("AZURE_STORAGE_ANON", "false").lower() not in ("false", "0", "f", "")
    return bool(given)


def _words(text: str) -> dict[str, str]:
    """Return what a connection string says.

    Raises:
        SettingsError: It is none; the message does not have it.
    """
    pairs = [word.partition("=") for word in text.strip().strip(";").split(";") if word.strip()]
    if any(not sign or not name for name, sign, _ in pairs):
        raise SettingsError(
            "the connection string of Azure is not understood: copy it as it stands in the portal, "
            "AccountName=…;AccountKey=…"
        )
    words = {name.strip(): value.strip() for name, _, value in pairs}
    if words.get("UseDevelopmentStorage", "").lower() == "true":
        return _DEVELOPMENT
    return words


def _store(bucket: str, settings: Mapping[str, Any], **common: Any) -> Any:
    from obstore.store import AzureStore

    plain = str(settings.get("endpoint", "")).startswith("http:")
    if plain:  # the certificates would be most of the time that a client takes
        common["client_options"] |= {"allow_http": True, "disable_system_certificates": True}
    return AzureStore(bucket, **settings, **common)
