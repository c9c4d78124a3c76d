"""Group-bys of pandas and polars: a group is a part, under the value that it is grouped by."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from runstore.objects import ObjectInfo
from runstore.store._partitions._crossing import PartWriter
from runstore.workers import Workers

__all__ = ["put"]

_AT_ONCE = 8  # groups in memory besides the frame


def put(value: Any, write: PartWriter) -> Sequence[ObjectInfo]:
    """Put each group; a key of one column stands alone, without a tuple around it."""
    # The iterator of polars' groups is the group-by itself, and begins anew for each islice.
    groups, infos = (one for one in value), list[ObjectInfo]()
    with Workers(_AT_ONCE, "runstore-groups") as workers:
        while some := list(islice(groups, _AT_ONCE)):
            infos += workers.map(lambda one: write(_key(one[0]), one[1]), some)
    return infos


def _key(key: Any) -> Any:
    return key[0] if isinstance(key, tuple) and len(key) == 1 else key
