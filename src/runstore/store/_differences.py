"""What differs between two objects, or two runs: plain, frozen data."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from runstore.context import WorkflowRun
from runstore.objects import ObjectInfo

__all__ = ["Change", "ColumnDiff", "ObjectChange", "ObjectDiff", "RunDiff", "TableDiff"]


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
        from runstore.store._differences_shown import table_diff_html

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
        from runstore.store._differences_shown import object_diff_html

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
        from runstore.store._differences_shown import run_diff_html

        return run_diff_html(self)
