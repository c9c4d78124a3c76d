"""`get` with filters: the rows of a stored table that they select."""

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow.types as kinds

from runstore.buffers import Buffer
from runstore.containers import Verify
from runstore.context import PicklePolicy
from runstore.errors import ObjectNotFoundError, PreconditionFailedError
from runstore.keys import AnyPlace, extension_at
from runstore.objects import PartGoneError, is_plain
from runstore.places import Entry
from runstore.seals import SealedPart
from runstore.store._columns import WholeNeeded, read_columns, reads_columns
from runstore.store._filters import Filter
from runstore.store._objects import Objects
from runstore.store._tables import Piecewise, Rows, open_piecewise
from runstore.store._wholes import Whole, rows_in

__all__ = ["filtered", "of_pieces"]


def filtered(
    objects: Objects,
    place: AnyPlace,
    policy: PicklePolicy,
    verify: Verify,
    columns: list[Any] | None,
    wanted: Filter,
    as_type: type | None,
    sealed: SealedPart | None,
) -> tuple[Any, Entry, Buffer]:
    """Return the rows of a table, what the place says of it, and its footer at least."""
    table = open_piecewise(objects, place, policy, verify, sealed)
    if table is not None:
        try:
            return _of_pieces(table, columns, wanted, as_type), table.entry, table.footer
        except (PreconditionFailedError, ObjectNotFoundError):
            pass  # it was replaced or deleted meanwhile
    if columns is not None and not is_plain(extension_at(place)) and reads_columns(objects.backend):
        build = partial(rows_in, place, policy, columns, wanted, as_type)
        with suppress(WholeNeeded):
            return read_columns(objects, place, verify, columns, as_type, policy, sealed, build)
    while True:
        whole = Whole(objects, place, policy, verify, sealed)
        try:
            return whole.value(columns, wanted, as_type), whole.entry, whole.data
        except PartGoneError as exc:
            whole.check_gone(exc)


def of_pieces(
    objects: Objects,
    place: AnyPlace,
    policy: PicklePolicy,
    columns: list[Any],
    as_type: type | None,
    sealed: SealedPart | None,
) -> tuple[Any, Entry, Buffer]:
    """Return some columns of a table in pieces, as `read_columns` does.

    Raises:
        WholeNeeded: All of it has to be read.
    """
    table = open_piecewise(objects, place, policy, "auto", sealed)
    if table is None:
        raise WholeNeeded
    try:
        return _of_pieces(table, columns, None, as_type), table.entry, table.footer
    except (PreconditionFailedError, ObjectNotFoundError) as exc:
        raise WholeNeeded from exc  # it was replaced or deleted meanwhile


def _of_pieces(
    table: Piecewise, columns: list[Any] | None, wanted: Filter | None, as_type: type | None
) -> Any:
    kept, spec = table.columns(columns)
    bound = table.filter(wanted)
    parts = list(table.rows(kept, bound, table.candidates(bound)))
    if not parts and any(map(kinds.is_dictionary, table.part_of_schema(kept).types)):
        first = next(table.rows(kept, None, [0]))  # its labels are those of no rows, too
        parts = [Rows(0, first.table.slice(0, 0), 0, np.empty(0, np.int64))]
    return table.decoded(Rows.joined(parts, table.part_of_schema(kept)), spec, as_type)
