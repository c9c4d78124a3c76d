"""Which certificates are trusted and which proxy is used: decided once, for both engines."""

import os
import ssl
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from runstore.errors import SettingsError

__all__ = ["is_host", "proxy_for", "system_certificates", "trusted_certificates"]

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
        SettingsError: The proxy is of a kind that not both engines can use, or no URL.
    """
    scheme, proxies = urlsplit(endpoint).scheme, getproxies_environment()
    kind = scheme if proxies.get(scheme) else "all"
    found = proxies.get(kind)
    if not found or _excepted(host, proxies.get("no", "")):
        return None
    small = f"{kind}_proxy"  # which is stronger
    return _checked(found, small if os.environ.get(small) else small.upper(), scheme, host)


def _checked(found: str, variable: str, scheme: str, host: str) -> str:
    """Return the URL of a proxy in one spelling; both engines would fail on another in their way.

    Raises:
        SettingsError: It is none. The message has no value, in which a password may be.
    """
    url = found if "://" in found else f"http://{found}"
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:  # a port or an address that is none
        parts, name, port = urlsplit(""), "", None
    way = f"name an http:// proxy, or add {host} to NO_PROXY"
    if name and parts.scheme not in ("http", "https"):
        raise SettingsError(
            f"the proxy that the environment variable {variable} names for {scheme}:// is of the "
            f"kind {parts.scheme}://, which runstore cannot use: {way}"
        )
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or port == 0 or not is_host(name):
        raise SettingsError(
            f"the environment variable {variable} is not the URL of a proxy: write it as "
            f"http://host:3128, or add {host} to NO_PROXY"
        )
    return f"{parts.scheme}{url[len(parts.scheme) :]}"


def is_host(name: str) -> bool:
    """Return whether *name* can be a host: a name of labels, or an address, as urlsplit has it."""
    if ":" in name:  # urlsplit has checked what stood in brackets
        return True
    labels = name.removesuffix(".").split(".")
    if labels[-1].isdecimal() and not _is_address(name):
        return False
    return all(
        0 < len(label) < 64
        and label[0] != "-" != label[-1]
        and all(c.isascii() and (c.isalnum() or c in "-_") for c in label)
        for label in labels
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


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
