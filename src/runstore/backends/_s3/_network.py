"""Which certificates are trusted and which proxy is used: decided once, for both engines."""

import os
import ssl
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from runstore.errors import SettingsError

__all__ = ["proxy_for", "system_certificates", "trusted_certificates"]

# Where Linux distributions keep what they trust; Python's own guess depends on its build.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusted_certificates(given: bool | str | None, profile: Mapping[str, str]) -> bool | str:
    """Return False for any certificate, True for those the system trusts, else a file of them.

    Args:
        given: The option ``verify``, which is stronger than any variable.
        profile: The settings of the profile.

    Raises:
        SettingsError: The file is missing, or has no certificates in it.
    """
    if given is False:
        return False
    if isinstance(given, str):
        found, source = given, "client_kwargs={'verify': …}"
    else:
        named = {
            "AWS_CA_BUNDLE": os.environ.get("AWS_CA_BUNDLE"),
            "the profile's ca_bundle": profile.get("ca_bundle"),
            "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE"),
            "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE"),
        }
        source, found = next(((s, path) for s, path in named.items() if path), ("", ""))
    if not found:
        return True
    path = os.path.expanduser(found)  # noqa: PTH111 - a Path's raises where there is no home
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as exc:  # SSLError is one
        reason = exc.strerror if not isinstance(exc, ssl.SSLError) else "it has no certificates"
        raise SettingsError(
            f"{source} names {path}, which cannot be used as the certificates to trust: {reason}. "
            "Give a file of PEM certificates"
        ) from exc
    return path


def system_certificates() -> str | None:
    """Return the file of certificates that the system trusts; None if there is none."""
    return next((path for path in _SYSTEM if Path(path).is_file()), None)


def proxy_for(endpoint: str, host: str) -> str | None:
    """Return the URL of the proxy for requests to *host*; None if they go there directly.

    Args:
        endpoint: The server's URL; its scheme decides.
        host: The host of the requests, which may have the bucket in front.

    Raises:
        SettingsError: The proxy is of a kind that not both engines can use.
    """
    scheme, proxies = urlsplit(endpoint).scheme, getproxies_environment()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or _excepted(host, proxies.get("no", "")):
        return None
    if "://" not in found:
        found = f"http://{found}"
    kind = urlsplit(found).scheme
    if kind not in ("http", "https"):
        raise SettingsError(
            f"the proxy that the environment names for {scheme}:// is of the kind {kind}://, which "
            f"runstore cannot use: name an http:// proxy, or add {host} to NO_PROXY"
        )
    return found


def _excepted(host: str, listed: str) -> bool:
    """Return whether NO_PROXY names *host*, a domain it is in, or a network its address is in."""
    return any(_names(entry.strip().lower(), host.lower()) for entry in listed.split(","))


def _names(entry: str, host: str) -> bool:
    if not entry:
        return False
    if entry in ("*", host):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        domain = entry.partition(":")[0].removeprefix("*").removeprefix(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
