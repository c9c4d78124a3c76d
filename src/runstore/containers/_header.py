"""What an object says about itself: one JSON document in its footer."""

import json
import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from runstore.errors import CorruptObjectError, UnsupportedFormatError
from runstore.keys import PartPlace, Place
from runstore.parts import part_in

__all__ = ["FORMAT_VERSION", "Header", "kind_text", "padded", "scope_text", "spec_text"]

FORMAT_VERSION = 1

_SLACK = 64  # at least so many spaces follow the JSON, so that a copy can change the key in place
_STEP = 128


@dataclass(slots=True)  # not frozen: that would triple the time to make one
class Header:
    """The description of one object, as `docs/format.md` specifies it. Not to be changed.

    Attributes:
        namespace, run, name: The object's own place; run is None in the namespace scope.
        workflow, stage: Who put it, where known.
        type: The python type of the value, ``module.QualName``.
        codec: Which codec wrote it.
        codec_version: That codec's own version.
        spec: What that codec needs to rebuild the value.
        pickle: Whether loading it unpickles anything.
        rows, columns: Of a table; an array's length; else None.
        nbytes: Size of the value in memory, in bytes, as far as its buffers tell.
        created_at: When it was put, UTC.
        write_id: Random, unique per put; hexadecimal digits.
        versions: The libraries that wrote it.
        metadata: The user's own.
        part: Of a part of an object its key, as JSON.
        layout: Of a part what the other parts have to have, too; see `runstore.codecs.layout_of`.
    """

    namespace: str
    run: str | None
    name: str
    type: str
    codec: str
    codec_version: int
    created_at: datetime
    write_id: str
    spec: dict[str, Any] = field(default_factory=dict)
    pickle: bool = False
    rows: int | None = None
    columns: int | None = None
    nbytes: int | None = None
    workflow: str | None = None
    stage: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    part: str | None = None
    layout: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place | PartPlace:
        """The place the object was written for."""
        whole = Place(self.namespace, self.run, self.name)
        return whole if self.part is None else PartPlace(*whole, part_in(self.part), self.write_id)

    def at(self, place: Place | PartPlace) -> "Header":
        """Return the header of a copy at *place*."""
        return replace(self, namespace=place.namespace, run=place.run, name=place.name)

    def of_cell(self, name: str, created_at: datetime, nbytes: int) -> "Header":
        """Return the header of a small value of the same scope and type."""
        return replace(self, name=name, created_at=created_at, nbytes=nbytes)

    def to_json(self, length: int | None = None) -> bytes | None:
        """Encode as ASCII JSON, padded with spaces to *length*; None if it is longer than that.

        What is not known, or empty, is left out.
        """
        scope = scope_text(self.namespace, self.run, self.workflow, self.stage)
        kind = kind_text(self.type, self.codec, self.codec_version, self.versions)
        document = (
            f'{{{scope},"name":{_encode(self.name)},{kind},'
            f'"created_at":"{self.created_at.isoformat()}","write_id":"{self.write_id}"'
        )
        for name in _SELDOM:
            value = getattr(self, name)
            if value or (value == 0 and value is not False):
                document += f',"{name}":{value if type(value) is int else _encode(value)}'
        text = f"{document}}}".encode("ascii")
        if length is None:
            return padded(text)
        return text.ljust(length) if len(text) <= length else None

    @classmethod
    def from_json(cls, text: bytes, version: bytes, ref: str) -> "Header":
        """Decode what `to_json` encoded; fields this version does not know are ignored.

        Raises:
            UnsupportedFormatError: *version* is newer than this runstore's.
            CorruptObjectError: It is not such a document.
        """
        if not version.isdigit() or len(version) > 4 or int(version) > FORMAT_VERSION:
            raise UnsupportedFormatError(
                f"{ref} is in format version {version.decode(errors='replace')}, this runstore "
                f"reads up to {FORMAT_VERSION}: upgrade runstore",
                ref,
            )
        try:
            document = _decode(text.decode())[0]
            if not document.keys() <= _NAMES:
                document = {name: document[name] for name in document.keys() & _NAMES}
            for name, value in document.items():
                if type(value) not in _TYPES[name]:
                    raise TypeError(f"{name} is {type(value).__name__}")
            if not all(type(text) is str for text in document.get("versions", {}).values()):
                raise TypeError("a version is no text")
            if not _IS_WRITE_ID(document["write_id"]):
                raise ValueError("its write_id is none")
            created_at = datetime.fromisoformat(document["created_at"])
            document["created_at"] = (
                created_at if created_at.tzinfo is UTC else created_at.astimezone(UTC)
            )
            document.setdefault("run", None)
            if document.get("part") is not None:
                part_in(document["part"])
            return cls(**document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise CorruptObjectError(f"{ref} has a header that cannot be read: {exc}", ref) from exc


# Made once: json.dumps and json.loads make one at each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode

_NAMES = {f.name for f in fields(Header)}
_NONE = type(None)
_IS_WRITE_ID = re.compile("[0-9A-Za-z_-]{1,64}").fullmatch  # it is written as it is
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("namespace", "name", "type", "codec", "created_at", "write_id"), (str,)),
    **dict.fromkeys(("run", "workflow", "stage", "part"), (str, _NONE)),
    **dict.fromkeys(("rows", "columns", "nbytes"), (int, _NONE)),
    **dict.fromkeys(("spec", "versions", "metadata", "layout"), (dict,)),
    "codec_version": (int,),
    "pickle": (bool,),
}
_SELDOM = ("spec", "pickle", "rows", "columns", "nbytes", "metadata", "part", "layout")


def padded(text: bytes) -> bytes:
    """Return a header as it stands in a file, with room for another name."""
    return text.ljust(-(-(len(text) + _SLACK) // _STEP) * _STEP)


@lru_cache(maxsize=256)
def scope_text(namespace: str, run: str | None, workflow: str | None, stage: str | None) -> str:
    """Return the members that all objects of a stage have in common, as JSON."""
    known = {"namespace": namespace, "run": run, "workflow": workflow, "stage": stage}
    return _encode({name: value for name, value in known.items() if value is not None})[1:-1]


def kind_text(kind: str, codec: str, version: int, versions: dict[str, str]) -> str:
    """Return the members that all values of a type have in common, as JSON."""
    return _kind(kind, codec, version, tuple(versions.items()))


def spec_text(spec: dict[str, Any]) -> str:
    """Return the member that the codec needs, as JSON with a comma before it; "" for none."""
    return f',"spec":{_encode(spec)}' if spec else ""


@lru_cache(maxsize=256)
def _kind(kind: str, codec: str, version: int, versions: tuple[tuple[str, str], ...]) -> str:
    known = {"type": kind, "codec": codec, "codec_version": version, "versions": dict(versions)}
    return _encode(known)[1:-1]
