"""Where an object stands: (namespace, scope, name) to key, and back.

    <namespace>/<run>/<name>[.arrow]      an object of a run
    <namespace>/<run>/.parts/<key of the name>/<part>.<write id>.arrow
    <namespace>/_shared/<name>[.arrow]    scope="namespace"
    <namespace>/_runs/<run>.json          a run record
    <namespace>/_marks/<run>/…            pins, tags and notes; see `runstore.runs`
    <namespace>/_logs/<run>/<stage>.log   what a stage of a run has logged
    <namespace>/_reads/<run>/…            which other runs a run reads
    <namespace>/_index/…                  what records of ended runs say; can be removed at any time

A name with an extension (``x.parquet``, ``report.html``, ``model.v2``) is its own key. A name
without one gets ``.arrow``, and so does a name that ends in ``.arrow`` itself. A key depends on
the name alone: not on the value, and not on what is installed.

The mapping is injective and prefix-disjoint: two names never share a key, no
name reaches another run or namespace, and no object's key is a folder of
another's. It holds because

* every character outside ``[A-Za-z0-9_.-]`` is percent-encoded, and so is a
  leading dot, so nothing of ours is hidden and nothing hidden is ours;
* no key of a name with an extension ends in ``.arrow``, and every other key does,
  with the whole name before it;
* the last part of a key always has a dot, and dots in the parts before it are
  encoded, so a folder never has one;
* runs and namespaces do not begin with ``_``, which the store keeps for itself;
* a part too long for a file name is cut and gets ``%7F`` and a hash; DEL is not
  allowed in names, so no other name is encoded like that. Such an object keeps
  its full name inside.
"""

import hashlib
import re
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runstore.errors import InvalidNameError
from runstore.names import check_name, check_namespace, check_run
from runstore.parts import PartKey, part_file

__all__ = [
    "ARROW",
    "FORMATS",
    "LOGS",
    "PARTS",
    "RECORDS",
    "SHARED",
    "AnyPlace",
    "PartPlace",
    "Place",
    "Scope",
    "extension_at",
    "extension_of",
    "folder_of",
    "is_shortened",
    "key_beginning",
    "key_of",
    "log_key",
    "name_of",
    "parts_folder",
    "record_key",
    "scope_folder",
    "scope_of",
]

Scope = Literal["run", "namespace"]

SHARED = "_shared"
RECORDS = "_runs"
LOGS = "_logs"
LATEST = "_latest"
ALIVE = "_alive"
READS = "_reads"
PARTS = ".parts"
"""The folder, in that of a scope, of the parts of objects. It is hidden: no name can lie there."""

ARROW = "arrow"

FORMATS = frozenset({"parquet", "json", "csv", "npy", "pkl", "safetensors", "skops"})
"""Extensions that are formats of their own; a name that ends in one is stored in it."""

_LONGEST_PART = 200  # file systems allow 255 bytes; temporary names and sidecars of others fit too
_LONGEST_KEY = 640  # of a name, encoded; with namespace and run it stays below S3's 1,024 bytes
_LONGEST_FOLDER = 400  # of an object's name in the folder of parts
_LONGEST_SCOPE = 160  # of a namespace or run, encoded
_CUT = "%7F"
_LONGEST_HEAD = 160  # of a part, encoded, whether it is cut or not; see `_fitting`


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


class PartPlace(NamedTuple):
    """The full name of one write of a part of an object. It stands for a place in most calls.

    Attributes:
        namespace, run, name: Of the object.
        part: The key of the part.
        write_id: Of the write: files of parts are never replaced.
        extension: ``arrow``; ``file`` for a file without a header of ours.
    """

    namespace: str
    run: str | None
    name: str
    part: PartKey
    write_id: str
    extension: str = ARROW

    @property
    def whole(self) -> Place:
        """The place of the object."""
        return Place(self.namespace, self.run, self.name)

    @property
    def scope(self) -> Scope:
        """``run`` or ``namespace``."""
        return "namespace" if self.run is None else "run"

    def at(self, place: Place) -> "PartPlace":
        """Return the same part of a copy of the object at *place*."""
        return PartPlace(*place, *self[3:])

    def __str__(self) -> str:
        return f"part {self.part!r} of {self.whole}"


AnyPlace = Place | PartPlace
"""What has a key: an object, or one write of a part of one."""


@lru_cache(maxsize=4096)
def key_of(place: AnyPlace) -> str:
    """Return the key of *place* under the store's root.

    Raises:
        InvalidNameError: The name, run or namespace cannot be one.
    """
    if isinstance(place, PartPlace):
        return parts_folder(place.whole) + part_file(place.part, place.write_id, place.extension)
    return scope_folder(place.namespace, place.run) + _name_key(place.name)


@lru_cache(maxsize=256)
def parts_folder(place: Place) -> str:
    """Return the folder, with a trailing slash, of the parts of the object at *place*.

    It is named like the object's own key, so no two objects share one and none lies in another's.

    Raises:
        InvalidNameError: The name, run or namespace cannot be one.
    """
    name = _name_key(place.name)
    if len(name) > _LONGEST_FOLDER:  # else the key of a part might be too long for S3
        name = f"{_CUT}{hashlib.sha256(name.encode()).hexdigest()[:32]}.{ARROW}"
    return f"{scope_folder(place.namespace, place.run)}{PARTS}/{name}/"


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


def key_beginning(prefix: str) -> str:
    """Return what the keys of all names that begin with *prefix* have in common, in their scope.

    It may be shorter than *prefix*, so other names may have it, too.

    Raises:
        InvalidNameError: The part of *prefix* up to its last slash is no name.
    """
    folder = folder_of(prefix)
    # A dot is encoded in a folder and not in the last part, and nobody knows which of the two this
    # part will be. A part that is too long keeps its beginning only.
    part = prefix.rpartition("/")[2].partition(".")[0]
    try:
        begin = quote_from_bytes(part.encode(), safe="").replace("~", "%7E")[:_LONGEST_HEAD]
    except UnicodeEncodeError:
        return folder  # no name has this text
    return folder + (begin[: begin.rindex("%")] if "%" in begin[-2:] else begin)


def record_key(namespace: str, run: str) -> str:
    """Return the key of a run's record; with ``run=""`` the folder of all records.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
    """
    folder = f"{_scope_part(check_namespace(namespace))}/{RECORDS}/"
    return folder + f"{_scope_part(check_run(run))}.json" if run else folder


def log_key(namespace: str, run: str, stage: str) -> str:
    """Return the key of what a stage has logged; with ``stage=""`` the folder of the run's logs.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
    """
    folder = f"{_scope_part(check_namespace(namespace))}/{LOGS}/{_scope_part(check_run(run))}/"
    named = stage.encode(errors="backslashreplace").decode()
    return f"{folder}{_folder_part(named)}.log" if stage else folder


def reads_key(
    namespace: str, run: str | None = None, other: str | None = None, other_run: str | None = None
) -> str:
    """Return the key of what says that a run reads another one; without that the folder.

    Raises:
        InvalidNameError: A namespace or run cannot be one.
    """
    key = f"{_scope_part(check_namespace(namespace))}/{READS}/"
    if run is None:
        return key
    key += f"{_scope_part(check_run(run))}/"
    if other is None or other_run is None:
        return key
    return f"{key}{_scope_part(check_namespace(other))}/{_scope_part(check_run(other_run))}.json"


def alive_key(namespace: str, run: str | None) -> str:
    """Return the key of what says that a run goes on; of all with ``""``, of nobody with None.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
    """
    folder = f"{_scope_part(check_namespace(namespace))}/{ALIVE}/"
    if not run:
        return folder if run == "" else f"{folder}_now.json"  # no run begins with "_"
    return f"{folder}{_scope_part(check_run(run))}.json"


def latest_key(namespace: str, workflow: str) -> str:
    """Return the key of what names the newest finished run of a workflow, which may be any text.

    Raises:
        InvalidNameError: *namespace* cannot be one.
    """
    text = workflow.encode(errors="backslashreplace").decode()
    return (
        f"{_scope_part(check_namespace(namespace))}/{LATEST}/{_fitting(_encoded(text), text)}.json"
    )


def extension_of(name: str) -> str:
    """Return the extension of a name in lower case; ``arrow`` if it has none.

    An extension is 1 to 16 ASCII letters, digits, ``_`` and ``-`` behind the last dot of the name,
    with something before the dot.
    """
    match = _EXTENSION.search(name)
    return ARROW if match is None else match[1].lower()


def extension_at(place: AnyPlace) -> str:
    """Return the extension of the name at *place*, and of a part that of its file."""
    return place.extension if isinstance(place, PartPlace) else extension_of(place.name)


_EXTENSION = re.compile(r"[^/]\.([A-Za-z0-9_-]{1,16})\Z")


def name_of(key: str) -> str | None:
    """Return the name whose key, within its scope's folder, is *key*; None if it is no name's.

    A shortened key's name is inside its object; see `is_shortened`.
    """
    if len(key) <= _LONGEST_PART and _PLAIN.fullmatch(key):
        return key[: -len(".arrow")]
    encoded = key.removesuffix(".arrow")
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
    if _PLAIN_SCOPE.fullmatch(folder):
        return folder  # nearly every one
    try:
        text = unquote_to_bytes(folder).decode()
        return text if _scope_part(check_namespace(text)) == folder else None
    except (UnicodeDecodeError, InvalidNameError):
        return None


_PLAIN_SCOPE = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_.-]{0,127}")


def _scope_part(text: str) -> str:
    if _PLAIN_SCOPE.fullmatch(text):
        return text
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
    if extension in _WITHOUT_HEADER and is_shortened(key):
        raise InvalidNameError(
            f"object name {name[:40]!r}… has a part too long for a file name, and a "
            f".{extension} file has no room to keep the full name: shorten it, or store it "
            "without the extension",
            name,
        )
    return key


_WITHOUT_HEADER = FORMATS - {"parquet"}


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
