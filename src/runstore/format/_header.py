"""What an object says about itself: one JSON document in its footer."""

import json
import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from runstore.errors import CorruptObjectError, UnsupportedFormatError
from runstore.keys import Place

__all__ = ["FORMAT_VERSION", "Header"]

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

    @property
    def place(self) -> Place:
        """The place the object was written for."""
        return Place(self.namespace, self.run, self.name)

    def at(self, place: Place) -> "Header":
        """Return the header of a copy at *place*."""
        return replace(self, namespace=place.namespace, run=place.run, name=place.name)

    def to_json(self, length: int | None = None) -> bytes | None:
        """Encode as ASCII JSON, padded with spaces to *length*; None if it is longer than that.

        What is not known, or empty, is left out.
        """
        scope = _scope(self.namespace, self.run, self.workflow, self.stage)
        kind = _kind(self.type, self.codec, self.codec_version, tuple(self.versions.items()))
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
            length = -(-(len(text) + _SLACK) // _STEP) * _STEP
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
    **dict.fromkeys(("run", "workflow", "stage"), (str, _NONE)),
    **dict.fromkeys(("rows", "columns", "nbytes"), (int, _NONE)),
    **dict.fromkeys(("spec", "versions", "metadata"), (dict,)),
    "codec_version": (int,),
    "pickle": (bool,),
}
_SELDOM = ("spec", "pickle", "rows", "columns", "nbytes", "metadata")


@lru_cache(maxsize=256)
def _scope(namespace: str, run: str | None, workflow: str | None, stage: str | None) -> str:
    """Return the members that all objects of a stage have in common, as JSON."""
    known = {"namespace": namespace, "run": run, "workflow": workflow, "stage": stage}
    return _encode({name: value for name, value in known.items() if value is not None})[1:-1]


@lru_cache(maxsize=256)
def _kind(kind: str, codec: str, version: int, versions: tuple[tuple[str, str], ...]) -> str:
    """Return the members that all values of a type have in common, as JSON."""
    known = {"type": kind, "codec": codec, "codec_version": version, "versions": dict(versions)}
    return _encode(known)[1:-1]
