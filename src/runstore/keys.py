"""Where an object stands: (namespace, scope, name) to key, and back.

    <namespace>/<run>/<name>.arrow        an object of a run
    <namespace>/_shared/<name>.arrow      scope="namespace"
    <namespace>/_runs/<run>.json          a run record

The mapping is injective and prefix-disjoint: two names never share a key, no
name reaches another run or namespace, and no object's key is a folder of
another's. It holds because

* every character outside ``[A-Za-z0-9_.-]`` is percent-encoded, and so is a
  leading dot, so nothing of ours is hidden and nothing hidden is ours;
* a name keeps a format's extension (``x.parquet``) or gets ``.arrow``, so the
  last part of a key always has a dot, and dots in the parts before it are
  encoded, so a folder never has one;
* runs and namespaces do not begin with ``_``, which the store keeps for itself;
* a part too long for a file name is cut and gets ``%7F`` and a hash; DEL is not
  allowed in names, so no other name is encoded like that. Such an object keeps
  its full name inside.
"""

import hashlib
import re
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Literal, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runstore.errors import InvalidNameError
from runstore.names import check_name, check_namespace, check_run

__all__ = [
    "ARROW",
    "FORMATS",
    "RECORDS",
    "SHARED",
    "Place",
    "Scope",
    "extension_of",
    "folder_of",
    "is_shortened",
    "key_of",
    "name_of",
    "plugin_formats",
    "record_key",
    "scope_folder",
    "scope_of",
]

Scope = Literal["run", "namespace"]

SHARED = "_shared"
RECORDS = "_runs"
ARROW = "arrow"

FORMATS = frozenset({"parquet", "json", "csv", "npy", "pkl", "safetensors", "skops"})
"""Extensions that are formats of their own; a name that ends in one is stored in it.

All are reserved from the first version on, also those without a codec yet: a
name must not change its key when a codec is added.
"""

_LONGEST_PART = 200  # file systems allow 255 bytes; temporary names and sidecars of others fit too
_LONGEST_KEY = 640  # of a name, encoded; with namespace and run it stays below S3's 1,024 bytes
_LONGEST_SCOPE = 160  # of a namespace or run, encoded
_CUT = "%7F"


class Place(NamedTuple):
    """An object's full name: which namespace, which run (None for the namespace scope), what.

    Attributes:
        namespace: The namespace.
        run: The run, or None for what the namespace's runs share.
        name: The object's name.
    """

    namespace: str
    run: str | None
    name: str

    @property
    def scope(self) -> Scope:
        """``run`` or ``namespace``."""
        return "namespace" if self.run is None else "run"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.run or SHARED}/{self.name}"


@lru_cache(maxsize=4096)
def key_of(place: Place) -> str:
    """Return the key of *place* under the store's root.

    Raises:
        InvalidNameError: The name, run or namespace cannot be one.
    """
    return scope_folder(place.namespace, place.run) + _name_key(place.name)


@lru_cache(maxsize=1024)
def scope_folder(namespace: str, run: str | None) -> str:
    """Return the folder of a scope, with a trailing slash.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
    """
    check_namespace(namespace)
    return f"{_scope_part(namespace)}/{SHARED if run is None else _scope_part(check_run(run))}/"


def folder_of(prefix: str) -> str:
    """Return the folder, with a trailing slash, of the names that begin with *prefix*, or "".

    Raises:
        InvalidNameError: The part of *prefix* up to its last slash is no name.
    """
    folders = prefix.rpartition("/")[0]
    return (
        "".join(f"{_folder_part(part)}/" for part in check_name(folders).split("/"))
        if folders
        else ""
    )


def record_key(namespace: str, run: str) -> str:
    """Return the key of a run's record; with ``run=""`` the folder of all records.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
    """
    folder = f"{_scope_part(check_namespace(namespace))}/{RECORDS}/"
    return folder + f"{_scope_part(check_run(run))}.json" if run else folder


def extension_of(name: str) -> str:
    """Return the format a name is stored in: its extension if that is known, else ``arrow``.

    Known are ours and those of installed plug-ins.
    """
    stem, _, extension = name.rpartition("/")[2].rpartition(".")
    extension = extension.lower()
    if not stem or not extension:
        return ARROW
    return extension if extension in FORMATS or extension in plugin_formats() else ARROW


@cache
def plugin_formats() -> frozenset[str]:
    """Return the extensions for which installed packages bring a format.

    Only what the packages say of themselves is read, once, when a name has an
    extension that is none of ours; nothing of theirs is imported.
    """
    names = {entry.name for entry in entry_points(group="runstore.formats")}
    return frozenset(name for name in names if _EXTENSION.fullmatch(name) and name != ARROW)


_EXTENSION = re.compile("[a-z0-9_]{1,16}")


def name_of(key: str) -> str | None:
    """Return the name whose key, within its scope's folder, is *key*; None if it is no name's.

    A shortened key's name is inside its object; see `is_shortened`.
    """
    if len(key) <= _LONGEST_PART and _PLAIN.fullmatch(key):
        return key[: -len(".arrow")]
    extension = extension_of(key)
    if extension == ARROW:
        if not key.endswith(".arrow"):
            return None
        encoded = key.removesuffix(".arrow")
    else:
        encoded = key
    try:
        name = unquote_to_bytes(encoded).decode()
        return name if _name_key(name) == key else None
    except (UnicodeDecodeError, InvalidNameError):
        return None


# Keys that are their name and ".arrow", as nearly all are: no rule forbids or changes any of it.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.arrow")


def is_shortened(key: str) -> bool:
    """Return whether a part of *key* was too long for a file name and was cut."""
    return _CUT in key


def scope_of(folder: str) -> str | None:
    """Return the run or namespace that a folder's name stands for; None if it stands for none."""
    try:
        text = unquote_to_bytes(folder).decode()
        return text if _scope_part(check_namespace(text)) == folder else None
    except (UnicodeDecodeError, InvalidNameError):
        return None


def _scope_part(text: str) -> str:
    part = _encoded(text)
    if len(part) > _LONGEST_SCOPE:
        raise InvalidNameError(
            f"{text!r} takes {len(part)} characters in a path, at most {_LONGEST_SCOPE} are "
            "allowed for a run or namespace; letters, digits, '-', '_' and '.' take one each",
            text,
        )
    return part


def _name_key(name: str) -> str:
    if type(name) is str and len(name) <= _LONGEST_PART - 6 and _PLAIN.fullmatch(f"{name}.arrow"):
        return f"{name}.arrow"
    check_name(name)
    *folders, last = name.split("/")
    extension = extension_of(name)
    if extension == ARROW:
        stem, suffix = last, ".arrow"
    else:
        stem, suffix = last[: -len(extension) - 1], last[-len(extension) - 1 :]
    parts = [_folder_part(folder) for folder in folders]
    key = "/".join([*parts, _fitting(_encoded(stem), stem) + suffix])
    if len(key) > _LONGEST_KEY:
        raise InvalidNameError(
            f"object name {name[:40]!r}… takes {len(key)} characters in a path, at most "
            f"{_LONGEST_KEY} are allowed",
            name,
        )
    if extension not in _KEEPS_ITS_NAME and is_shortened(key):
        raise InvalidNameError(
            f"object name {name[:40]!r}… has a part too long for a file name, and a "
            f".{extension} file has no room to keep the full name: shorten it, or store it "
            "without the extension",
            name,
        )
    return key


_KEEPS_ITS_NAME = frozenset({ARROW, "parquet"})


def _folder_part(folder: str) -> str:
    return _fitting(_encoded(folder).replace(".", "%2E"), folder)


def _encoded(part: str) -> str:
    text = quote_from_bytes(part.encode(), safe="").replace("~", "%7E")
    return "%2E" + text[1:] if text.startswith(".") else text


def _fitting(encoded: str, part: str) -> str:
    if len(encoded) <= _LONGEST_PART:
        return encoded
    digest = hashlib.sha256(part.encode()).hexdigest()[:32]
    head = encoded[: _LONGEST_PART - len(_CUT) - len(digest)]
    head = head.rpartition("%")[0] if "%" in head[-2:] else head  # never half an escape
    return head + _CUT + digest
