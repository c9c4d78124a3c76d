"""The description of a stored object."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from runstore.arguments import printable
from runstore.keys import Place, Scope

if TYPE_CHECKING:
    import pyarrow as pa

    from runstore.format import Header
    from runstore.places import Entry

__all__ = ["ObjectInfo", "human_size"]


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
        size: Stored bytes.
        created_at: When it was put, UTC.
        version: Changes with every put; for ``if_match``.
        format: ``arrow``, or the name's extension.
        workflow, stage: Who put it, where known.
        python_type: ``module.QualName`` of the value.
        codec: Which codec keeps it.
        pickled: Whether loading it unpickles anything.
        signed: Whether it has a signature; only a ``get`` under the policy ``signed``
            checks it.
        rows, columns: Of a table; an array's length; else None.
        nbytes: Size of the value's data in memory, in bytes.
        digest: Of the stored data; equal data have equal digests.
        versions: The libraries it was written with.
        metadata: The user's own.
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
    _read_schema: "Callable[[], pa.Schema | None] | None" = field(
        default=None, repr=False, compare=False
    )

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

    def __repr__(self) -> str:
        kind = self.python_type or self.format
        shape = "" if self.rows is None else f" {self.rows:,} rows"
        if self.columns is not None:
            shape += f" × {self.columns:,} columns"
        return printable(  # the type is what a file says of itself
            f"<ObjectInfo {self.name!r} {kind}{shape}, {human_size(self.size)}, "
            f"{self.place.namespace}/{self.run or '(namespace)'}, "
            f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC>"
        )

    def _repr_html_(self) -> str:
        rows = {
            "name": self.name,
            "scope": self.scope,
            "namespace": self.namespace,
            "run": self.run,
            "type": self.python_type,
            "rows": self.rows,
            "columns": self.columns,
            "size": human_size(self.size),
            "created": f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "workflow": self.workflow,
            "stage": self.stage,
            "digest": self.digest,
            **{f"metadata.{key}": value for key, value in self.metadata.items()},
        }
        cells = "".join(
            f"<tr><th>{escape(label)}</th><td>{escape(str(value))}</td></tr>"
            for label, value in rows.items()
            if value is not None
        )
        return f"<table>{cells}</table>"


def describe(
    place: Place,
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
    return ObjectInfo(
        place.name,
        place.scope,
        place.namespace,
        place.run,
        entry.size,
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
        header.versions,
        header.metadata,
        read_schema,
    )


def human_size(size: int) -> str:
    """Return a number of bytes as text for people: ``999 B``, ``1.2 KB``, ``3.4 GB``."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
