"""Turn a configuration into settings of obstore, so that its environment is not used.

obstore builds each store from all ``AWS_*`` variables it knows and then from what it is given. So
it is given everything; the few variables that cannot be overruled are found out.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import SettingsError
from runstore.places._s3._config import S3Config

__all__ = ["not_taken", "settings", "unruly"]

_CONNECT = 10.0  # seconds for a connection, at most


def settings(config: S3Config, timeout: float, *, bulk: bool) -> dict[str, Any]:
    """Return the arguments of an ``S3Store`` for requests that end within *timeout* seconds."""
    given: dict[str, Any] = {
        "endpoint": config.base,
        "aws_endpoint_url_s3": config.base,  # or that of the environment would be stronger
        "region": config.region,
        "virtual_hosted_style_request": not config.path_style,
        "skip_signature": config.credentials is None,
        "request_payer": config.requester_pays,
        "disable_bulk_delete": not bulk,
        "s3_express": False,
        "unsigned_payload": False,
        "disable_tagging": False,
        "conditional_put": "etag",
        "copy_if_not_exists": "multipart",  # runstore does not use it; obstore wants some value
        "client_options": _client(config, timeout),
    }
    written = config.written
    found = {
        "server_side_encryption": "sse-c" if written.customer_key else written.encryption,
        "sse_kms_key_id": written.kms_key,
        "sse_bucket_key_enabled": written.bucket_key,
        "sse_customer_key_base64": written.customer_key,
    }
    return given | {name: value for name, value in found.items() if value is not None}


def unruly(config: S3Config) -> str | None:
    """Return a variable of the environment that obstore would obey; None if there is none.

    No setting overrides these variables.
    """
    there = {name.upper(): name for name in os.environ if name.upper().startswith("AWS_")}
    written = config.written
    suspects = ["AWS_CHECKSUM_ALGORITHM"]
    if written.encryption is None and written.customer_key is None:
        suspects.append("AWS_SERVER_SIDE_ENCRYPTION")
    else:
        if written.bucket_key is None:
            suspects.append("AWS_SSE_BUCKET_KEY_ENABLED")
        if written.kms_key is None:
            suspects.append("AWS_SSE_KMS_KEY_ID")
    return next((there[name] for name in suspects if name in there), None)


def not_taken(exc: Exception, config: S3Config) -> SettingsError:
    """Return the error for settings from which obstore makes no client, in one sentence."""
    if "CA certificates" in str(exc):
        return SettingsError(
            "obstore finds no certificates to trust: name a file of PEM certificates by "
            "AWS_CA_BUNDLE, and look at SSL_CERT_DIR, which may name a folder without any"
        )
    reason = str(exc).partition("\n")[0].strip()
    proxy = ", the proxy that the environment names" if config.proxy is not None else ""
    return SettingsError(
        f"obstore does not take these settings ({reason}): look at the endpoint {config.endpoint}"
        f"{proxy} and the certificates to trust, or use engine='s3fs'"
    )


def _client(config: S3Config, timeout: float) -> dict[str, Any]:
    """Return the options of its HTTP client: given any, obstore reads none from the environment."""
    client: dict[str, Any] = {
        "timeout": timedelta(seconds=timeout),
        # Shorter than the whole, so that a request that was never sent is known as such.
        "connect_timeout": timedelta(seconds=min(timeout * 0.9, _CONNECT)),
        "allow_http": config.endpoint.startswith("http:"),
    }
    if config.verify is False:
        client["allow_invalid_certificates"] = True
    elif isinstance(config.verify, str):
        client["root_certificate"] = Path(config.verify).read_bytes()
        client["disable_system_certificates"] = True
    elif client["allow_http"] and not (config.proxy or "").startswith("https:"):
        client["disable_system_certificates"] = True  # it would fail where there are none
    if config.proxy is not None:
        client["proxy_url"] = config.proxy
    elif any(name.lower().endswith("_proxy") for name in os.environ):
        # A proxy for no host keeps it from looking for another in the environment.
        client["proxy_url"] = "http://127.0.0.1:9"
        client["proxy_excludes"] = f"*,0.0.0.0/0,::/0,{urlsplit(config.base).hostname}"
    return client
