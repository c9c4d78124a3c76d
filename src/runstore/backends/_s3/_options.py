"""Storage options, environment and profiles, made one thing that both engines are built from.

The options are fsspec's. What is secret stays in the process that was given it:
only options on the list of public ones travel in a store's address.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import SettingsError

__all__ = ["S3Config", "split_options", "split_url"]

_SECRET = frozenset({"key", "secret", "token", "username", "password"})
_PUBLIC = frozenset(
    {"endpoint_url", "profile", "anon", "use_ssl", "requester_pays", "client_kwargs"}
    | {"config_kwargs", "s3_additional_kwargs"}
)
_ALIASES = {"username": "key", "password": "secret"}
_CLIENT_SECRET = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
}
_CLIENT_PUBLIC = {
    "endpoint_url": "endpoint_url",
    "region_name": "region",
    "use_ssl": "use_ssl",
    "verify": "verify",
}
_ENCRYPTION = frozenset({"ServerSideEncryption", "SSEKMSKeyId"})
_STYLES = ("auto", "path", "virtual")


@dataclass(frozen=True, slots=True)
class S3Config:
    """How to reach a bucket. What is secret shows in no repr.

    Attributes:
        endpoint: The server's URL; None is AWS.
        region: The region to sign for.
        key, secret, token: Credentials, where they are given and not looked up.
        profile: The profile to look them up in.
        anon: Do not sign.
        path_style: Whether the bucket stands in the path, not in the host's name.
        requester_pays: Whether to say that we pay.
        verify: False trusts any certificate; a path is a file of those to trust.
        encryption: ``ServerSideEncryption`` and ``SSEKMSKeyId`` of what is written.
    """

    endpoint: str | None
    region: str
    path_style: bool
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    profile: str | None = None
    anon: bool = False
    requester_pays: bool = False
    verify: bool | str | None = None
    encryption: tuple[tuple[str, str], ...] = ()

    @classmethod
    def resolve(cls, options: Mapping[str, Any]) -> "S3Config":
        """Complete checked options from the environment and the profile.

        Raises:
            SettingsError: An option is not understood, or the profile is not there.
        """
        flat = _flattened(options)
        profile = flat.get("profile") or (None if "key" in flat else os.environ.get("AWS_PROFILE"))
        shared = _shared_settings(profile)
        endpoint = flat.get("endpoint_url") or _endpoint(shared)
        region = (
            flat.get("region")
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or shared.get("region")
            or "us-east-1"
        )
        if endpoint is None and flat.get("use_ssl") is False:
            endpoint = f"http://s3.{region}.amazonaws.com"
        style = flat.get("addressing_style", "auto")
        return cls(
            endpoint=endpoint,
            region=region,
            path_style=style == "path" or (style == "auto" and endpoint is not None),
            key=flat.get("key"),
            secret=flat.get("secret"),
            token=flat.get("token"),
            profile=profile,
            anon=bool(flat.get("anon", False)),
            requester_pays=bool(flat.get("requester_pays", False)),
            verify=flat.get("verify"),
            encryption=tuple(sorted(flat.get("encryption", {}).items())),
        )


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and prefix of ``s3://bucket/prefix``; the prefix ends with a slash or is empty.

    Raises:
        SettingsError: It has credentials in it, no bucket, or a prefix that cannot be one.
    """
    rest = url.partition("://")[2]
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket:
        raise SettingsError(
            "the store's URL has credentials in it, which would show wherever it is written down: "
            "give s3://bucket/prefix, and the credentials as key= and secret=, as a profile, or in "
            "the environment"
        )
    if not bucket or not all(c.isascii() and (c.isalnum() or c in "-._") for c in bucket):
        raise SettingsError(f"{url!r} names no bucket: write s3://bucket/prefix", url)
    prefix = prefix.strip("/")
    parts = prefix.split("/") if prefix else []
    bad = [p for p in parts if p in ("", ".", "..") or p.startswith(".") or not _is_plain(p)]
    if bad:
        raise SettingsError(
            f"{url!r} has the part {bad[0]!r}, which cannot be one of a prefix: use letters, "
            "digits, '-', '_', '.', '=', '+', not a leading dot",
            url,
        )
    return bucket, f"{prefix}/" if prefix else ""


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may travel with a store's address, and those that may not.

    Raises:
        SettingsError: An option is not understood; the message has no values.
    """
    _flattened(options)
    public = {name: value for name, value in options.items() if name in _PUBLIC}
    secret = {name: value for name, value in options.items() if name in _SECRET}
    client = dict(public.get("client_kwargs") or {})
    if client:
        secret |= {
            _CLIENT_SECRET[name]: client.pop(name) for name in _CLIENT_SECRET.keys() & client
        }
        public["client_kwargs"] = client
    return public, secret


def _flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check names and nesting; later spellings of one thing do not contradict earlier ones."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name == "client_kwargs":
            for inner, given in value.items():
                _set(flat, (_CLIENT_PUBLIC | _CLIENT_SECRET).get(inner), f"{name}.{inner}", given)
        elif name == "config_kwargs":
            _only(value, {"s3"}, name)
            _only(value.get("s3", {}), {"addressing_style"}, f"{name}.s3")
            flat |= value.get("s3", {})
        elif name == "s3_additional_kwargs":
            _only(value, _ENCRYPTION, name)
            flat["encryption"] = dict(value)
        else:
            known = _ALIASES.get(name, name)
            _set(flat, known if known in _PUBLIC | _SECRET else None, name, value)
    if flat.get("addressing_style", "auto") not in _STYLES:
        raise SettingsError(f"config_kwargs.s3.addressing_style must be one of {_STYLES}")
    if ("key" in flat) != ("secret" in flat):
        raise SettingsError("the storage options key and secret go together; only one was given")
    endpoint = flat.get("endpoint_url")
    if endpoint is not None:
        _check_endpoint(endpoint)
    return flat


def _set(flat: dict[str, Any], known: str | None, name: str, value: Any) -> None:
    if known is None:
        raise SettingsError(
            f"the storage option {name} is not understood for s3://; understood are "
            f"{', '.join(sorted(_PUBLIC | _SECRET))}, and in client_kwargs "
            f"{', '.join(sorted(_CLIENT_PUBLIC | _CLIENT_SECRET))}"
        )
    if flat.get(known, value) != value:
        raise SettingsError(f"the storage option {name} is given twice, with different values")
    flat[known] = value


def _only(given: Mapping[str, Any], known: "frozenset[str] | set[str]", name: str) -> None:
    if unknown := sorted(set(given) - known):
        raise SettingsError(
            f"{name}.{unknown[0]} is not understood for s3://, which both engines must be able to "
            f"honour; understood in {name}: {', '.join(sorted(known))}"
        )


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.username or parts.password:
        raise SettingsError("endpoint_url has credentials in it: give them as key= and secret=")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"endpoint_url={endpoint!r} is not an http:// or https:// URL")


def _endpoint(shared: Mapping[str, str]) -> str | None:
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    found = (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or shared.get("endpoint_url")
    )
    if found is not None:
        _check_endpoint(found)
    return found


def _shared_settings(profile: str | None) -> dict[str, str]:
    """Read region and endpoint of the profile from the AWS configuration file."""
    import configparser
    from pathlib import Path

    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    keys = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read([path], encoding="utf-8")
        known = parser.sections()
        credentials = configparser.RawConfigParser(strict=False)
        credentials.read([keys], encoding="utf-8")
    except (OSError, configparser.Error) as exc:
        # What a parser says quotes lines of the file, and those may be secret.
        raise SettingsError(
            f"the AWS configuration ({path} and {keys}) cannot be read: {type(exc).__name__}"
        ) from None
    name = profile or "default"
    section = next((s for s in (f"profile {name}", name) if s in known), None)
    if section is None:
        if profile is not None and profile not in credentials:
            raise SettingsError(f"there is no AWS profile {profile!r} in {path} or {keys}")
        return {}
    found = {key: value for key, value in parser[section].items() if "\n" not in value}
    services = f"services {found.get('services', '')}"
    nested = parser[services].get("s3", "") if services in parser else ""
    for line in nested.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "endpoint_url":
            found["endpoint_url"] = value.strip()
    return found


def _is_plain(part: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "-_.=+,:@!'()~ ") for c in part)
