"""Storage options: fsspec's names, checked at the door, the same for both engines.

What is secret stays in the process that was given it: only options on the list of public ones
travel in a store's address.
"""

import builtins
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import SettingsError
from runstore.places._s3._access_point import AccessPoint
from runstore.places._s3._network import is_host
from runstore.places._s3._written import CUSTOMER_KEY, NAMES, Written, customer_key

__all__ = [
    "check_endpoint",
    "check_timeout",
    "flattened",
    "merge_options",
    "split_options",
    "split_url",
]

_SECRET = frozenset({"key", "secret", "token", "username", "password", "sse_customer_key"})
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
_PLAIN = frozenset({"region", "region_name", "verify", "addressing_style"}) | (
    NAMES - {CUSTOMER_KEY}
)
"""Options that may stand alone, too, as in the query of a URL: there are no dicts there."""

_STYLES = ("auto", "path", "virtual")
_SWITCHES = frozenset({"anon", "use_ssl", "requester_pays"})
_LONGEST = 7 * 24 * 3600  # seconds; the engines cannot count to infinity


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and prefix of ``s3://bucket/prefix``; the prefix ends with a slash or is empty.

    The bucket may be the ARN of an access point.

    Raises:
        SettingsError: It has credentials in it, no bucket, or a prefix that cannot be one.
    """
    rest = url.partition("://")[2]
    bucket, _, prefix = AccessPoint.split(rest) or rest.partition("/")
    if "@" in bucket:
        raise SettingsError(
            "the store's URL has credentials in it, which would show wherever it is written down: "
            "give s3://bucket/prefix, and the credentials as key= and secret=, as a profile, or in "
            "the environment"
        )
    plain = all(c.isascii() and (c.isalnum() or c in "-._") for c in bucket)
    plain |= AccessPoint.named(bucket) is not None
    if not bucket or not plain or not bucket[0].isalnum():  # '..' would be another path
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
    flattened(options)
    public = {name: value for name, value in options.items() if name in _PUBLIC | _PLAIN}
    secret = {name: value for name, value in options.items() if name in _SECRET}
    client = dict(public.get("client_kwargs") or {})
    if client:
        secret |= {
            _CLIENT_SECRET[name]: client.pop(name) for name in _CLIENT_SECRET.keys() & client
        }
        if isinstance(client.get("verify"), os.PathLike):
            client["verify"] = os.fspath(client["verify"])
        public["client_kwargs"] = client
    written = dict(public.get("s3_additional_kwargs") or {})
    if CUSTOMER_KEY in written:
        secret["sse_customer_key"] = written.pop(CUSTOMER_KEY)
        public["s3_additional_kwargs"] = written
    return public, secret


def merge_options(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together; what *stronger* says in one spelling is taken out of *weaker*."""
    said = {
        _canonical(inner)
        for name, value in stronger.items()
        for inner in (_inner(value) if isinstance(value, Mapping) else (name,))
    }
    return _blocks(_without(weaker, said), stronger)


def _inner(block: Mapping[str, Any]) -> builtins.list[str]:
    """Return the names in a dict of options, and in dicts in it."""
    return [
        name
        for outer, value in block.items()
        for name in (_inner(value) if isinstance(value, Mapping) else (outer,))
    ]


def _without(options: Mapping[str, Any], said: set[str]) -> dict[str, Any]:
    return {
        name: _without(value, said) if isinstance(value, Mapping) else value
        for name, value in options.items()
        if isinstance(value, Mapping) or _canonical(name) not in said
    }


def _blocks(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, with dicts of one name made one."""
    both = dict(one)
    for name, value in other.items():
        old = both.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _blocks(old, value)
        both[name] = value
    return both


def _canonical(name: str) -> str:
    return (_CLIENT_PUBLIC | _CLIENT_SECRET | _ALIASES).get(name, name)


def flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options by one name each, checked.

    Later spellings of one option must not contradict earlier ones.

    Raises:
        SettingsError: An option is not understood; the message has no values of secret ones.
    """
    flat: dict[str, Any] = {}
    for name, value in _in_blocks(options).items():
        if value is None:
            continue
        if name == "client_kwargs":
            for inner, given in _block(value, name).items():
                _set(flat, (_CLIENT_PUBLIC | _CLIENT_SECRET).get(inner), f"{name}.{inner}", given)
        elif name == "config_kwargs":
            s3 = _block(_block(value, name, {"s3"}).get("s3", {}), f"{name}.s3", _ADDRESSING)
            flat |= s3
        elif name == "s3_additional_kwargs":
            written = dict(_block(value, name, NAMES))
            if CUSTOMER_KEY in written:
                key = customer_key(written.pop(CUSTOMER_KEY), f"{name}.{CUSTOMER_KEY}")
                _set(flat, "sse_customer_key", f"{name}.{CUSTOMER_KEY}", key)
            for inner, given in written.items():
                if inner != "BucketKeyEnabled":
                    _text(given, f"{name}.{inner}")
            flat["s3_additional_kwargs"] = written
        elif name == "sse_customer_key":
            _set(flat, name, name, customer_key(value, name))
        else:
            known = _ALIASES.get(name, name)
            _set(flat, known if known in _PUBLIC | _SECRET else None, name, value)
    style = flat.get("addressing_style", "auto")
    if not isinstance(style, str) or style not in _STYLES:
        raise SettingsError(f"config_kwargs.s3.addressing_style must be one of {_STYLES}")
    if ("key" in flat) != ("secret" in flat):
        raise SettingsError("the storage options key and secret go together; only one was given")
    if "token" in flat and "key" not in flat:
        raise SettingsError(
            "the storage option token was given alone: a session token is only valid with the key "
            "and the secret it was issued with; give all three, or none of them"
        )
    given, key = flat.pop("s3_additional_kwargs", {}), flat.pop("sse_customer_key", None)
    flat["written"] = Written.checked(given, key)
    if "endpoint_url" in flat:
        flat["endpoint_url"] = check_endpoint(flat["endpoint_url"], "endpoint_url")
    return flat


def _in_blocks(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *options* with those that stand alone where botocore has them."""
    alone = {name: options[name] for name in _PLAIN & options.keys() if options[name] is not None}
    if not alone:
        return options
    found = {name: value for name, value in options.items() if name not in alone}
    for name, value in alone.items():
        if name in NAMES:
            block = {"s3_additional_kwargs": {name: value}}
        elif name == "addressing_style":
            block = {"config_kwargs": {"s3": {name: value}}}
        else:
            block = {"client_kwargs": {"region_name" if name == "region" else name: value}}
        found = _blocks(found, block)
    return found


def check_endpoint(endpoint: str, source: str) -> str:
    """Return *endpoint*, its scheme in lower case, if it is the plain URL of a server.

    Args:
        endpoint: The URL.
        source: The option or variable it comes from, for the message. The value itself is shown
            only where nothing secret can be in it.

    Raises:
        SettingsError: It is not.
    """
    way = "write it as http://host:9000 or https://host"
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        raise SettingsError(f"{source} has white space or unprintable characters in it: {way}")
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as exc:
        raise SettingsError(f"{source} is not a URL, or its port is none ({exc}): {way}") from None
    if "@" in parts.netloc:
        raise SettingsError(f"{source} has credentials in it: give them as key= and secret=")
    if "?" in endpoint or "#" in endpoint:
        raise SettingsError(f"{source} has a query or a fragment, which no server's URL has: {way}")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise SettingsError(f"{source}={endpoint!r} is not an http:// or https:// URL: {way}")
    if not all(c.isalnum() or c in "-._:[]%" for c in parts.netloc) or not is_host(parts.hostname):
        raise SettingsError(f"{source}={endpoint!r} names no host: {way}")
    return f"{parts.scheme}{endpoint[len(parts.scheme) :]}".rstrip("/")


def check_timeout(timeout: float, url: str) -> float:
    """Return *timeout* if it is a number of seconds that both engines can wait.

    Raises:
        SettingsError: It is not.
    """
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not 0 < timeout <= _LONGEST:  # NaN is not, either
        raise SettingsError(
            f"timeout is a number of seconds above 0 and at most {_LONGEST:,} (a week), not "
            f"{timeout!r}",
            url,
        )
    return timeout


_ADDRESSING = frozenset({"addressing_style"})


def _set(flat: dict[str, Any], known: str | None, name: str, value: Any) -> None:
    if known is None:
        own = ("engine", "pickle", "durable", "timeout", "cache")  # of the store itself
        close = get_close_matches(name, [*own, *sorted(_PUBLIC | _SECRET)], 1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise SettingsError(
            f"the storage option {name} is not understood for s3://{meant}; understood are "
            f"{', '.join(sorted(_PUBLIC | _SECRET))}, and in client_kwargs "
            f"{', '.join(sorted(_CLIENT_PUBLIC | _CLIENT_SECRET))}"
        )
    if value is None:
        return
    if known in _SWITCHES:
        if not isinstance(value, bool):
            raise SettingsError(f"the storage option {name} is True or False")
    elif known == "verify":
        value = _trusted(value, name)
    else:
        _text(value, name)
    if flat.get(known, value) != value:
        raise SettingsError(f"the storage option {name} is given twice, with different values")
    flat[known] = value


def _text(value: Any, name: str) -> None:
    """Raise SettingsError unless *value* can stand in a header: whatever it is, it is not shown."""
    if not isinstance(value, str) or not value:
        kind = "empty" if isinstance(value, str) else f"of the type {type(value).__name__}"
        raise SettingsError(f"the storage option {name} is text, but it is {kind}")
    if name == "profile":
        return
    if name == "endpoint_url" or name.endswith(".endpoint_url"):
        return  # which is checked as a URL
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise SettingsError(
            f"the storage option {name} has white space at an end, or characters that are not "
            "printable ASCII"
        )


def _trusted(value: Any, name: str) -> bool | str:
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise SettingsError(f"{name} is True, False, or the path of a file of certificates")
    path = os.fspath(value)
    if not os.path.isfile(os.path.expanduser(path)):  # noqa: PTH111, PTH113
        raise SettingsError(
            f"{name} names {path}, and there is no such file: give a file of PEM certificates"
        )
    return str(path)


def _block(
    given: Any, name: str, known: "frozenset[str] | set[str] | None" = None
) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise SettingsError(f"the storage option {name} is a dict, not a {type(given).__name__}")
    if known is not None and (unknown := sorted(map(str, set(given) - known))):
        raise SettingsError(
            f"{name}.{unknown[0]} is not understood for s3://, which both engines must be able to "
            f"honour; understood in {name}: {', '.join(sorted(known))}"
        )
    return given


def _is_plain(part: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "-_.=,+:@!'()~ ") for c in part)
