"""The verbs for tables that are larger than memory."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from runstore import store  # types of results are loaded when they are needed
from runstore.arguments import check_count
from runstore.errors import ObjectNotFoundError
from runstore.keys import Scope
from runstore.objects import missing
from runstore.store._arguments import check_get, check_put, check_table_type, column_list
from runstore.store._target import Target, place_of

if TYPE_CHECKING:
    from runstore.store._filters import Filter

__all__ = ["StreamVerbs", "filter_of"]


class StreamVerbs(ABC):
    """The verbs that write and read tables piece by piece, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def writer(
        self,
        name: str,
        schema: pa.Schema | None = None,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: Literal["auto", "lz4", "zstd"] | None = "auto",
    ) -> "store.Writer":
        """Return what writes one table piece by piece, in a ``with`` block.

        All or nothing: the object is there when the block has ended without an error, and
        nobody sees anything of it before. If the block ends by one, or the process is killed,
        the old object is as it was. In memory there are one piece and the parts that are on
        their way: up to 64 MiB, and on S3 up to 64 MiB more.

            with object_store.writer("events") as w:
                for frame in frames:
                    w.write(frame)

        `get` returns a value of the type of the first piece: what `pandas.concat` or
        `polars.concat` makes of all. The rows of a pandas frame are numbered on where each piece
        begins anew. Nothing is pickled.

        Args:
            name: As for `put`; the table is an Arrow file, or under ``.parquet`` a Parquet file.
            schema: The columns of the pieces; by default those of the first one.
            scope, metadata, if_absent, if_match, compression: As for `put`.

        Raises:
            NoRunContextError, InvalidNameError, InvalidRequestError: As for `put`.
            UnsupportedValueError: Files of the name's extension are written whole.

        The block raises what `put` raises.
        """
        check_put(name, None, if_absent, if_match, compression, None)
        target = self._target()
        from runstore.store._writer import open_writer

        return open_writer(
            target.writable(),
            place_of("writer", target, name, scope, None, None),
            schema,
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            compression=None if compression == "auto" else compression,
            workflow=target.workflow,
            stage=target.stage,
        )

    def iter_batches(
        self,
        name: str,
        *,
        columns: list[Any] | None = None,
        filters: Any = None,
        batch_rows: int | None = None,
        as_type: type | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> Iterator[Any]:
        """Return the rows of a stored table, some at a time, in their order.

        All of them are of the version that was there when this was called; if it is replaced
        or deleted meanwhile, a place far away has no more of it, and the next batch raises.
        In memory there are a few pieces of what `writer` has written, each up to 32 MiB. An
        object that was put whole is opened as by `get`.

        Args:
            name: As it was put.
            columns: Only these, in this order; the others are not read.
            filters: Only these rows; see `get`.
            batch_rows: Rows of each batch; the last one may have fewer. By default they come as
                they are stored.
            as_type: The type of the batches: a frame of pandas or polars, or a table, batch or
                array of Arrow or NumPy. By default that of the value, for an Arrow table
                ``pyarrow.RecordBatch``.
            scope, run, namespace: As for `get`.
            verify: True reads whole pieces, also for some *columns*, and checks their digests.
                ``auto`` checks those that are read whole, and of others the structure.

        Raises:
            InvalidRequestError: It is no table, or has no such columns.
            ObjectNotFoundError, CorruptObjectError, UnsupportedFormatError, UnsupportedValueError,
                StorageError: As for `get`.
            PreconditionFailedError: It was replaced while it was read.
        """
        return self._opening_batches(
            name, columns, filters, batch_rows, as_type, scope, run, namespace, verify
        )()

    def _opening_batches(
        self,
        name: str,
        columns: list[Any] | None,
        filters: Any,
        batch_rows: int | None,
        as_type: type | None,
        scope: Scope,
        run: str | None,
        namespace: str | None,
        verify: Literal["auto"] | bool,
    ) -> Callable[[], Iterator[Any]]:
        """Check the arguments of `iter_batches`, and return what opens the object."""
        check_get("iter_batches", as_type, None, verify)
        check_table_type("iter_batches", as_type)
        wanted = filter_of("iter_batches", filters)
        labels = column_list("iter_batches", columns)
        if batch_rows is not None:
            check_count("iter_batches", "batch_rows", batch_rows)
        target = self._target()
        place = place_of("iter_batches", target, name, scope, run, namespace)

        def opened() -> Iterator[Any]:
            from runstore.store._batches import batches

            try:
                return batches(target.objects, place, verify, labels, wanted, batch_rows, as_type)
            except ObjectNotFoundError as exc:
                raise missing(target.objects, place) from exc

        return opened

    def scan(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> Any:
        """Return a stored table as a ``pyarrow.dataset.Dataset``, for polars, DuckDB or Dask.

        Nothing but its description is read before it is asked for rows; then as by
        `iter_batches`, with the columns and filters that the reader asks for. All is of the
        version that is there now. The dataset can be pickled, and so can its fragments.

        Args:
            name: As it was put.
            scope, run, namespace: As for `get`.
            verify: As for `iter_batches`.

        Raises:
            InvalidRequestError: It is no table.
            UnsupportedValueError: It has a column that Arrow has no type for.
            ObjectNotFoundError, CorruptObjectError, UnsupportedFormatError, StorageError: As for
                `get`.
        """
        from runstore.store._scan import open_scan

        check_get("scan", None, None, verify)
        target = self._target()
        place = place_of("scan", target, name, scope, run, namespace)
        try:
            return open_scan(target.objects, place, verify)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc


def filter_of(call: str, filters: Any) -> "Filter | None":
    """Return *filters*, checked; None if there are none.

    Raises:
        InvalidRequestError: They are no filters.
    """
    if filters is None or (type(filters) is list and not filters):
        return None
    from runstore.store._filters import Filter

    return Filter(call, filters)
