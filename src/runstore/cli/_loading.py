"""Stored values for people: tables are shown without the library that put them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runstore.errors import MissingExtraError, RunStoreError
from runstore.keys import Place, extension_of

if TYPE_CHECKING:
    import pyarrow as pa

    from runstore.store import ObjectStore, StoreView

__all__ = ["beginning", "loaded", "unpickled_rows"]

_OF_COLUMN = 64 << 20  # bytes that are read of one column for its first rows


def loaded(view: "StoreView", at: Place) -> Any:
    """Return an object's value; a table whose library is not installed as an Arrow table.

    Raises:
        RunStoreError: As for `get`.
    """
    return _or_arrow(
        view,
        at,
        lambda: view.get(at.name, scope=at.scope),
        lambda kind: view.get(at.name, scope=at.scope, as_type=kind),
    )


def beginning(view: "StoreView", at: Place, rows: int) -> Any:
    """Return the first rows of a table, of which no more is read than it takes; else the value."""
    if view.stat(at.name, scope=at.scope).columns is None:
        return loaded(view, at)

    def first(**how: Any) -> Any:
        batches = view.iter_batches(at.name, batch_rows=rows, scope=at.scope, **how)
        return next(batches, None)

    found = _or_arrow(view, at, first, lambda kind: first(as_type=kind))
    return loaded(view, at) if found is None else found


def unpickled_rows(
    store: "ObjectStore", at: Place, rows: int
) -> "tuple[pa.Table, dict[str, str]] | None":
    """Return the first rows of a table with pickled columns, without them, and why they are not.

    None if it is no such table, or all of its columns are pickled.
    """
    view = store.at(namespace=at.namespace, run=at.run)
    info = view.stat(at.name, scope=at.scope)
    if not info.pickled or info.columns is None:
        return None
    import pyarrow as pa

    from runstore.store.rows import LeftOut, open_rows

    table = open_rows(store, at)
    if table is None:
        return None
    wanted = [i for i, column in enumerate(table.columns) if not column.pickled]
    if not wanted:
        return None
    left = {column.name: "it is pickled" for column in table.columns if column.pickled}
    count = min(rows, table.rows)
    empty = [pa.array([], table.schema.field(i).type) for i in wanted]
    read = table.window(0, count, wanted, _OF_COLUMN) if count else empty
    names, found = [], []
    for i, column in zip(wanted, read, strict=True):
        if isinstance(column, LeftOut):
            left[table.columns[i].name] = column.reason
        else:
            names.append(table.columns[i].name)
            found.append(column)
    return pa.Table.from_arrays(found, names=names), left


def _or_arrow(
    view: "StoreView", at: Place, read: Callable[[], Any], read_as: Callable[[Any], Any]
) -> Any:
    try:
        return read()
    except MissingExtraError:
        import pyarrow as pa

        if extension_of(at.name) == "csv":
            import pyarrow.csv as csv

            with view.open(at.name, scope=at.scope) as file:
                return csv.read_csv(file)
        try:
            return read_as(pa.Table)
        except RunStoreError:
            pass  # it is no table, or Arrow cannot hold it: what is missing is the reason
        raise
