"""The description of a stored object."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstore.arguments import printable
from runstore.displays import brief, pairs
from runstore.file_types import raw_type
from runstore.keys import AnyPlace, PartPlace, Place, Scope, extension_at
from runstore.parts import PartKey
from runstore.texts import human_size

if TYPE_CHECKING:
    import pyarrow as pa

    from runstore.containers import Header
    from runstore.places import Entry

__all__ = ["ObjectInfo", "describe", "describe_file", "described_later"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The description of one stored object. Frozen.

    A plain ``list()`` takes one request per thousand objects and knows only what the
    place itself knows: name, scope, size, time, version. ``put``, ``stat`` and
    ``list(details=True)`` know the rest, too.

    Attributes:
        name: As it was put.
        scope: ``run`` or ``namespace``.
        namespace: Where it stands.
        run: The run it belongs to; None in the namespace scope.
        size: Stored bytes; of an object of parts, of all of them, where it was read.
        created_at: When it was put, UTC.
        version: Changes with every put; for ``if_match``.
        format: ``arrow``, or the name's extension. An object with an extension of no known
            format is an Arrow file or a plain one; a plain ``list()`` does not look, and says
            the extension.
        workflow, stage: Who put it, where known.
        python_type: ``module.QualName`` of the value that comes back; of a plain file known only
            where it is text or bytes. A figure that was saved as ``x.png`` comes back as bytes.
        codec: Which codec keeps it.
        pickled: Whether loading it unpickles anything.
        signed: Whether it has a signature; only a ``get`` under the policy ``signed``
            checks it.
        rows, columns: Of a table; an array's length; else None.
        nbytes: Size of the value's data in memory, in bytes.
        digest: Of the stored data; equal data have equal digests.
        versions: The libraries it was written with.
        metadata: The user's own.
        part: Of a part of an object its key; else None.
        write_id: Of a part: which write of it this is.
        parts: Of an object of parts how many it has; else None.
    """

    name: str
    scope: Scope
    namespace: str
    run: str | None
    size: int
    created_at: datetime
    version: str | None
    format: str
    workflow: str | None = None
    stage: str | None = None
    python_type: str | None = None
    codec: str | None = None
    pickled: bool | None = None
    signed: bool | None = None
    rows: int | None = None
    columns: int | None = None
    nbytes: int | None = None
    digest: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    part: PartKey | None = None
    write_id: str | None = None
    parts: int | None = None
    _layout: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _read_schema: "Callable[[], pa.Schema | None] | None" = field(
        default=None, repr=False, compare=False
    )
    _later: "Callable[[], ObjectInfo] | None" = field(
        default=None, init=False, repr=False, compare=False
    )

    if not TYPE_CHECKING:  # or every name would be taken for an attribute

        def __getattr__(self, name):
            """Fill in what `described_later` has left open, at the first look."""
            make = None if name == "_later" else self._later
            if make is None and name in _NAMES:  # another thread has filled it in just now
                return object.__getattribute__(self, name)
            if make is None or name not in _NAMES:
                raise AttributeError(f"'ObjectInfo' object has no attribute {name!r}")
            made = make()
            for each in _NAMES:
                object.__setattr__(self, each, getattr(made, each))
            return getattr(self, name)

    @property
    def place(self) -> Place:
        """Its full name."""
        return Place(self.namespace, self.run, self.name)

    @property
    def schema(self) -> "pa.Schema | None":
        """The Arrow schema of the stored columns, read when asked for; None if it has none.

        Raises:
            ObjectNotFoundError: It has been deleted meanwhile.
            StorageError: The place failed.
        """
        return self._read_schema() if self._read_schema is not None else None

    @property
    def part_place(self) -> PartPlace | None:
        """Of a part the full name of this write of it; else None."""
        if self.part is None or self.write_id is None:
            return None
        return PartPlace(*self.place, self.part, self.write_id)

    def __repr__(self) -> str:
        kind = self.python_type or self.format
        shape = "" if self.rows is None else f" {self.rows:,} rows"
        if self.columns is not None:
            shape += f" × {self.columns:,} columns"
        part = "" if self.part is None else f" part {self.part!r}"
        if self.parts is not None:
            shape += f" in {self.parts:,} parts"
        return printable(  # the type is what a file says of itself
            f"<ObjectInfo {self.name!r}{part} {kind}{shape}, {human_size(self.size)}, "
            f"{self.place.namespace}/{self.run or '(namespace)'}, "
            f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC>"
        )

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {
            "name": self.name,
            "scope": self.scope,
            "namespace": self.namespace,
            "run": self.run,
            "type": self.python_type,
            "rows": self.rows,
            "columns": self.columns,
            "part": self.part,
            "parts": self.parts,
            "size": human_size(self.size),
            "created": f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "workflow": self.workflow,
            "stage": self.stage,
            "digest": self.digest,
            **{f"metadata.{key}": brief(value) for key, value in self.metadata.items()},
        }
        return pairs(rows)


_NAMES = tuple(one.name for one in fields(ObjectInfo))
_set_later = ObjectInfo.__dict__["_later"].__set__


def described_later(describe: Callable[[], ObjectInfo]) -> ObjectInfo:
    """Return what *describe* returns, which is called when somebody looks at it."""
    info = ObjectInfo.__new__(ObjectInfo)
    _set_later(info, describe)
    return info


def describe(
    place: AnyPlace,
    entry: "Entry",
    extension: str,
    header: "Header | None" = None,
    digest: str | None = None,
    signed: bool | None = None,
    read_schema: "Callable[[], pa.Schema | None] | None" = None,
) -> ObjectInfo:
    """Return the description, from what the place and the object's own header say."""
    if header is None:
        return ObjectInfo(
            place.name,
            place.scope,
            place.namespace,
            place.run,
            entry.size,
            entry.modified,
            entry.version,
            extension,
            _read_schema=read_schema,
        )
    sealed = header.spec if header.codec == "sealed" else {}
    size, count = sealed.get("size"), sealed.get("count")
    return ObjectInfo(
        place.name,
        place.scope,
        place.namespace,
        place.run,
        entry.size + size if type(size) is int else entry.size,
        header.created_at,
        entry.version,
        extension,
        header.workflow,
        header.stage,
        header.type,
        header.codec,
        header.pickle,
        signed,
        header.rows,
        header.columns,
        header.nbytes,
        digest,
        dict(header.versions),  # others have the same header, and the caller may change these
        dict(header.metadata),
        place.part if isinstance(place, PartPlace) else None,
        place.write_id if isinstance(place, PartPlace) else None,
        count if type(count) is int else None,
        header.layout,
        read_schema,
    )


def describe_file(place: AnyPlace, entry: "Entry") -> ObjectInfo:
    """Return the description of a file that has no header of ours."""
    extension = extension_at(place)
    return replace(describe(place, entry, extension), python_type=raw_type(extension))
