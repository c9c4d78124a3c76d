"""Handing objects in Azure to other programs: options of their readers, and signed URLs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from runstore.errors import MissingExtraError

__all__ = ["presigned", "reader_options"]

_KEYS = ("account_name", "account_key", "sas_token", "client_id", "client_secret", "tenant_id")
_ALLOWED = {"GET": "r", "HEAD": "r", "PUT": "cw"}


def presigned(
    settings: Mapping[str, Any], container: str, name: str, seconds: int, method: str
) -> str:
    """Return a URL with a shared access signature, made with Azure's own library.

    obstore signs names with escapes in a way that the service refuses.

    Args:
        settings: Of obstore's store; with the key of the account.
        container: The container.
        name: The name of the object, prefix included.
        seconds: How long it is good for.
        method: The request that it is for.

    Raises:
        MissingExtraError: The library is not installed.
    """
    try:
        from azure.storage.blob import generate_blob_sas
    except ImportError as exc:
        raise MissingExtraError(
            "presign: URLs of Azure are signed with azure-storage-blob: pip install "
            "'runstore[azure]'"
        ) from exc
    account = settings["account_name"]
    query = generate_blob_sas(
        account,
        container,
        name,
        account_key=settings["account_key"],
        permission=_ALLOWED[method],
        expiry=datetime.now(UTC) + timedelta(seconds=seconds),
    )
    base = settings.get("endpoint") or f"https://{account}.blob.core.windows.net"
    return f"{base}/{quote(container)}/{quote(name)}?{query}"


def reader_options(settings: Mapping[str, Any], reader: str) -> dict[str, Any]:
    """Return the options with which *reader* reads the container.

    Args:
        settings: Of obstore's store.
        reader: ``pandas``, ``duckdb`` (both by fsspec), ``polars`` or ``pyarrow``.
    """
    make = {"polars": _of_polars, "pyarrow": _of_pyarrow}.get(reader, _of_fsspec)
    return {name: value for name, value in make(settings).items() if value is not None}


def _of_fsspec(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what adlfs takes; another endpoint than the account's is in a connection string."""
    found = {name: settings.get(name) for name in _KEYS}
    endpoint = settings.get("endpoint")
    if endpoint is not None:
        words = {
            "DefaultEndpointsProtocol": urlsplit(endpoint).scheme,
            "AccountName": found["account_name"],
            "AccountKey": found.pop("account_key"),
            "SharedAccessSignature": found.pop("sas_token"),
            "BlobEndpoint": endpoint,
        }
        found["connection_string"] = ";".join(f"{k}={v}" for k, v in words.items() if v)
    # adlfs takes its own look for credentials unless it is told.
    return found | {"anon": bool(settings.get("skip_signature"))}


def _of_polars(settings: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = settings.get("endpoint")
    return {
        "azure_storage_account_name": settings["account_name"],
        "azure_storage_account_key": settings.get("account_key"),
        "azure_storage_sas_key": settings.get("sas_token"),
        "azure_storage_client_id": settings.get("client_id"),
        "azure_storage_client_secret": settings.get("client_secret"),
        "azure_storage_tenant_id": settings.get("tenant_id"),
        "azure_storage_endpoint": endpoint,
        "azure_skip_signature": "true" if settings.get("skip_signature") else None,
        "azure_allow_http": "true" if str(endpoint).startswith("http:") else None,
    }


def _of_pyarrow(settings: Mapping[str, Any]) -> dict[str, Any]:
    account = settings["account_name"]
    found = {name: settings.get(name) for name in _KEYS}
    if (endpoint := settings.get("endpoint")) is not None:
        parts = urlsplit(endpoint)
        # It puts the account before a host that begins with a dot, and into the path else.
        host = parts.netloc.removeprefix(account) if not parts.path.strip("/") else parts.netloc
        for kind in ("blob", "dfs"):
            found[f"{kind}_storage_scheme"] = parts.scheme
            found[f"{kind}_storage_authority"] = host.replace(".blob.", f".{kind}.")
    return found
