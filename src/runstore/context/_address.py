"""Which store a run uses, made absolute when the run starts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from runstore.arguments import check_text, path_text, printable, unfit
from runstore.context._models import StoreAddress
from runstore.errors import SettingsError
from runstore.secret_names import is_secret
from runstore.settings import current_settings

__all__ = ["absolute_url", "address_of", "check_store", "default_address", "default_namespace"]

_EXAMPLES = {"s3": "bucket/prefix", "memory": "name", "file": "data/store"}
_WITH_QUERY = frozenset({"s3", "gs", "gcs", "abfs", "abfss", "az"})  # elsewhere ? is of a path
_WHERE = dict.fromkeys(("gs", "gcs", "az", "azure", "abfs", "abfss"), "bucket/prefix")
_KINDS = frozenset(
    {*_EXAMPLES, "s3a", "s3n", "gs", "gcs", "az", "azure", "abfs", "abfss"}
    | {"http", "https", "ftp", "sftp", "ssh", "hdfs", "webdav", "smb"}
)


def default_namespace() -> str:
    """Return the namespace of runs that name none."""
    return current_settings().namespace


def default_address(url: str | None = None) -> StoreAddress:
    """Return the address of the default store, or of *url* with the default behaviour.

    Raises:
        SettingsError: The settings are not understood.
    """
    settings = current_settings()
    where, options = split_query(absolute_url(url or settings.url or ".runstore"))
    return StoreAddress.model_construct(  # all of it has been checked
        url=where,
        options=settings.storage_options.get(where.partition("://")[0], {}) | options,
        pickle=settings.pickle,
        durable=settings.durable,
        timeout=settings.timeout,
    )


def split_query(url: str) -> tuple[str, dict[str, Any]]:
    """Return a URL without its query, and the storage options that the query gives.

    So a bucket on a server of one's own is one word of a command line:
    ``s3://bucket/prefix?endpoint_url=http://host:9000&region_name=eu-west-1``. ``true`` and
    ``false`` are truth values, all else is text. Paths and keys of other places may have a ``?``.

    Raises:
        SettingsError: It gives something secret, or an option twice, or is no query.
    """
    where, mark, query = url.partition("?")
    if not mark or where.partition("://")[0] not in _WITH_QUERY:
        return url, {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError as exc:
        raise SettingsError(
            f"the query of {where} is not understood: write ?name=value&name=value"
        ) from exc
    options: dict[str, Any] = {}
    for name, value in pairs:
        if name in options:
            raise SettingsError(f"the query of {where} gives {printable(name)} twice")
        if is_secret(name, value):
            raise SettingsError(
                f"the query of {where} gives {printable(name)}, which is secret and would show "
                "wherever the URL is written down: set it in the environment, or give it as an "
                "argument in the code"
            )
        options[name] = {"true": True, "false": False}.get(value.lower(), value)
    return where.rstrip("/"), options


def address_of(store: Any, call: str = "address_of") -> StoreAddress:
    """Return the address of *store*: None, a URL or path, an address, or a store object.

    Args:
        store: One of these.
        call: The function it was passed to, for messages.

    Raises:
        SettingsError: It is none of these.
    """
    if store is None:
        return default_address()
    if isinstance(store, StoreAddress):
        return store
    if isinstance(store, (str, os.PathLike)):
        return default_address(absolute_url(store))
    check_store(call, store)
    address: StoreAddress = store.address
    return address


def check_store(call: str, store: Any) -> None:
    """Raise SettingsError unless *store* is None, a URL or path, an address, or a store object."""
    if store is None or isinstance(store, (str, os.PathLike, StoreAddress)):
        return
    if not isinstance(getattr(store, "address", None), StoreAddress):
        expected = "a URL, a path or a runstore.ObjectStore"
        raise unfit(call, "store", expected, store, error=SettingsError)


def absolute_url(url: str | os.PathLike[str], call: str = "ObjectStore") -> str:
    """Return *url* so that it does not depend on the working directory.

    Plain paths become ``file://`` URLs; ``~`` is the home directory. In a ``file:`` URL the
    path is taken as it is, without percent-decoding.

    Args:
        url: A path or URL.
        call: The function it was passed to, for messages.

    Raises:
        SettingsError: It is blank, no text, has a character that no path can have, is a
            ``file:`` URL of another host, or begins like a URL and is none, as ``s3:/bucket``.
    """
    text = path_text("url", url, SettingsError) if isinstance(url, os.PathLike) else url
    check_text(call, "url", text, hint="give a path or a URL", error=SettingsError)
    if not text.strip():
        what = "blank" if text else "empty"
        raise SettingsError(f"the store's address is {what}: give a path or a URL")
    for position, char in enumerate(text):
        if char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff":
            what = "lone surrogate" if char > "\x7f" else "control character"
            raise SettingsError(
                f"the store's address has the {what} {char!a} at position {position}"
            )
    if text[:5].lower() == "file:":
        text = _path_in(text)
    elif "://" in text:
        return text.rstrip("/") if not text.endswith("://") else text
    else:
        _check_mistyped(text)
    try:
        return f"file://{_without_up(Path(text).expanduser().absolute())}"
    except FileNotFoundError as exc:
        raise SettingsError(
            f"the store {text!r} is relative, and the working directory does not exist any more: "
            "give an absolute path",
            text,
        ) from exc
    except RuntimeError as exc:  # of expanduser
        raise SettingsError(f"the store {text!r}: there is no such home directory", text) from exc


def _without_up(path: Path) -> str:
    """Return an absolute path without ``..``, of which links before it decide what it is."""
    if ".." not in path.parts:
        return str(path)
    at = len(path.parts) - path.parts[::-1].index("..")
    return str(Path(os.path.realpath(Path(*path.parts[:at])), *path.parts[at:]))


def _check_mistyped(text: str) -> None:
    """Raise SettingsError if *text* begins like a URL: it would become a folder of that name."""
    found = re.match("([A-Za-z0-9]+)(:/?|//)", text)
    if found is None or found[1].lower() not in _KINDS:
        return
    kind, rest = found[1].lower(), text[found.end() :].lstrip("/")
    if kind in _EXAMPLES:
        # What stands before an @ or behind a ? may be secret.
        meant = _EXAMPLES[kind] if not rest or "@" in rest or "?" in rest else rest
        way = f"did you mean {kind}://{'/' if kind == 'file' else ''}{meant}?"
    else:
        way = f"did you mean {kind}://{_WHERE.get(kind, 'host/path')}?"
    raise SettingsError(
        f"the store's address begins with {found[0]!r}, but a URL begins with '{kind}://': {way} "
        f"Write a local path that begins so as ./{found[0]}… or as an absolute path"
    )


def _path_in(url: str) -> str:
    """Return the path in a ``file:`` URL, as RFC 8089 has it."""
    rest = url[5:]
    if not rest.startswith("//"):
        if rest.startswith("/"):
            return rest
        raise SettingsError(
            f"the store {url!r}: a file: URL has an absolute path, as in file:///data/store; give "
            "a relative path without file:",
            url,
        )
    host, slash, path = rest[2:].partition("/")
    if host.lower() in ("", "localhost"):
        if not slash:
            raise SettingsError(f"the store {url!r} has no path: write file:///data/store", url)
        return f"/{path}"
    if host in (".", "..") or host.startswith("~"):
        return rest[2:]  # cannot be a host
    raise SettingsError(
        f"the store {url!r} names the host {host!r}, whose files cannot be reached so. Write "
        f"file:///{host}/{path} for the absolute path, or {host}/{path} for the relative one",
        url,
    )
