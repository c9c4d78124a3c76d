"""What the methods that look at a whole store find: plain, frozen data."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from runstore.context import WorkflowRun
from runstore.errors import CorruptObjectError, RunStoreError
from runstore.keys import SHARED
from runstore.objects import ObjectInfo

__all__ = [
    "Audit",
    "Change",
    "ColumnDiff",
    "Finding",
    "FindingKind",
    "ObjectChange",
    "ObjectDiff",
    "RunDiff",
    "RunUsage",
    "TableDiff",
    "Verified",
]

FindingKind = Literal["pickle", "unsigned", "foreign", "newer", "unreadable", "unsealed"]


class Verified(NamedTuple):
    """What was found of one object or record.

    Attributes:
        ref: Its name; of an object whose name cannot be read, its key.
        size: Stored bytes.
        error: Why it is damaged or could not be checked, or None.
        has_digest: False if files of its format have no digest, so that nothing was checked.
        resumed: Whether an earlier check found it whole, of which the journal is; it was not read.
    """

    ref: str
    size: int
    error: RunStoreError | None = None
    has_digest: bool = True
    resumed: bool = False

    @property
    def damaged(self) -> bool:
        """Whether its bytes are wrong. If not, *error* says why that is not known."""
        return isinstance(self.error, CorruptObjectError)

    def _repr_html_(self) -> str:
        from runstore.store._findings_shown import verified_html

        return verified_html(self)


class Finding(NamedTuple):
    """One object or file that an audit names.

    Attributes:
        kind: ``pickle``: loading it unpickles something. ``unsigned``: it has no signature,
            although the store's policy is ``signed``. ``foreign``: runstore did not write it.
            ``newer``: it is of a newer format than this runstore reads. ``unreadable``: what
            describes it is damaged, or may not be read; also a run record that is, and a folder
            that may not be listed. ``unsealed``: it has parts that no seal
            names; of those that are pickles or not signed each is a finding, too.
        ref: The object, or the key of a file that is none.
        size: Stored bytes.
        detail: What there is to say: its type, or the error.
    """

    kind: FindingKind
    ref: str
    size: int
    detail: str


@dataclass(frozen=True)
class RunUsage:
    """What one run has stored.

    Attributes:
        namespace: Where.
        run: The run; None for what the namespace's runs share.
        objects: How many.
        size: Their bytes, with those of their parts.
        recorded: Whether there is a record of it.
    """

    namespace: str
    run: str | None
    objects: int
    size: int
    recorded: bool

    @property
    def ref(self) -> str:
        """Its name, as the command line has it."""
        return f"{self.namespace}/{self.run or SHARED}"


@dataclass(frozen=True)
class Audit:
    """What an audit found. All of it is plain data.

    Attributes:
        store: Where.
        objects: How many objects there are.
        size: Their stored bytes, with those of their parts.
        records: How many run records there are.
        signed, pickled: How many objects are signed, and how many unpickle something when loaded.
        runs: What each run has stored, the largest first.
        formats: Number of objects by format: ``arrow``, or the name's extension.
        types: Number of objects by the type of their value, where the object says it.
        versions: By library and version, the number of objects that were written with it.
        findings: The objects and files to look at, by kind and name.
    """

    store: str
    objects: int
    size: int
    records: int
    signed: int
    pickled: int
    runs: tuple[RunUsage, ...]
    formats: dict[str, int]
    types: dict[str, int]
    versions: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]

    def of(self, kind: FindingKind) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(found for found in self.findings if found.kind == kind)

    def _repr_html_(self) -> str:
        from runstore.store._findings_shown import audit_html

        return audit_html(self)


class Change(NamedTuple):
    """One difference.

    Attributes:
        path: Where: ``features.lags[2]``; empty for the whole.
        kind: ``added`` if only the other has it, ``removed`` if only the first one, ``changed``.
        one, other: The values there; None where there is none.
    """

    path: str
    kind: str
    one: Any
    other: Any


class ColumnDiff(NamedTuple):
    """What differs in one column.

    Attributes:
        name: Its name; that of an index without a name as Arrow has it, ``__index_level_0__``.
        one, other: Its Arrow types; None if that table has no such column.
        differing: In how many of the rows that both have the values differ; None if they were not
            compared: one table has no such column, or the types have no common one.
        first: The first such row, and both values as short texts.
    """

    name: str
    one: str | None
    other: str | None
    differing: int | None
    first: tuple[int, str, str] | None


class TableDiff(NamedTuple):
    """What differs in two tables, whose rows are compared by their position.

    Attributes:
        columns: Those that are in one only, have another type, or hold other values.
        same_order: Whether the columns that both have are in the same order.
        rows: How many rows each has.
        differing: In how many of the rows that both have any value differs.
    """

    columns: tuple[ColumnDiff, ...]
    same_order: bool
    rows: tuple[int, int]
    differing: int

    @property
    def equal(self) -> bool:
        """Whether both have the same columns in the same order, with the same rows."""
        return not self.columns and self.same_order and self.rows[0] == self.rows[1]

    def _repr_html_(self) -> str:
        from runstore.store._findings_shown import table_diff_html

        return table_diff_html(self)


@dataclass(frozen=True)
class ObjectDiff:
    """What differs between two objects.

    Attributes:
        one, other: Their descriptions.
        equal: Whether the values are equal, in type, too.
        by: How that was found out: by their ``digest``; by their ``table``, row by row; by the
            items of an ``array``; by the ``values`` of plain data. By digests alone, objects that
            differ are known to be stored differently.
        table: Of two tables, what differs.
        beside: Of two tables with the same columns and rows, whether what is kept beside them
            differs: attributes, labels that are no text, kinds of index, categories and their
            order, metadata of an Arrow schema. It is not told what.
        items: Of two arrays of one shape, how many items differ.
        changes: Of plain data, what differs.
        metadata: What differs in the users' own metadata, which is no part of the value.
    """

    one: ObjectInfo
    other: ObjectInfo
    equal: bool
    by: Literal["digest", "table", "array", "values"]
    table: TableDiff | None = None
    beside: bool = False
    items: int | None = None
    changes: tuple[Change, ...] = ()
    metadata: tuple[Change, ...] = ()

    def _repr_html_(self) -> str:
        from runstore.store._findings_shown import object_diff_html

        return object_diff_html(self)


class ObjectChange(NamedTuple):
    """An object that two runs do not have in common.

    Attributes:
        name: Its name.
        kind: ``added`` if only the other run has it, ``removed`` if only the first one,
            ``changed`` if both have it with other content.
        one, other: Its descriptions; None where it is not.
    """

    name: str
    kind: str
    one: ObjectInfo | None
    other: ObjectInfo | None


@dataclass(frozen=True)
class RunDiff:
    """What differs between two runs.

    Attributes:
        one, other: Their records; None where a run has objects and no record.
        input, config: What differs in what the stages were given, where the records tell it.
        code: By stage what differs in target and source, and the commits.
        stages: What differs in how the stages went: states, numbers of items, errors.
        versions: What differs in Python, libraries and executor.
        objects: Those that only one has, or that have other content, by name.
        same: How many objects both have with the same content.
    """

    one: WorkflowRun | None
    other: WorkflowRun | None
    input: tuple[Change, ...]
    config: tuple[Change, ...]
    code: tuple[Change, ...]
    stages: tuple[Change, ...]
    versions: tuple[Change, ...]
    objects: tuple[ObjectChange, ...]
    same: int

    @property
    def equal(self) -> bool:
        """Whether both were given the same, ran the same code, and hold the same objects."""
        return not (self.input or self.config or self.code or self.objects)

    def _repr_html_(self) -> str:
        from runstore.store._findings_shown import run_diff_html

        return run_diff_html(self)
