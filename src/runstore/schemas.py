"""What depends on an Arrow schema alone, remembered: most schemas come again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runstore.lifetime import Bounded

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BySchema"]

V = TypeVar("V")

_KINDS = 64  # of schemas, told apart by their length and their first and last name
_ALIKE = 4  # schemas of one kind
_WIDE = 4096  # fields; of wider schemas, which take megabytes, only the last few are remembered
_WIDE_KINDS = 2


class BySchema(Generic[V]):
    """Values by schema, metadata included; the oldest are dropped first.

    A schema is not hashed, which takes longer than most of what is remembered: it is compared with
    the few that look like it.

    Args:
        make: Makes the value of a schema, of this and what else `of` is given. Nobody may change
            what it returns.
    """

    def __init__(self, make: "Callable[..., V]") -> None:
        self._make = make
        self._narrow: Bounded[Any, tuple[tuple[pa.Schema, str | None, V], ...]] = Bounded(_KINDS)
        self._wide: Bounded[Any, tuple[tuple[pa.Schema, str | None, V], ...]] = Bounded(_WIDE_KINDS)

    def of(self, schema: "pa.Schema", *more: Any) -> V:
        """Return the value of *schema*; it is made with *more* if it is not known."""
        count = len(schema)
        kind = (count, schema.field(0).name, schema.field(count - 1).name) if count else (0,)
        wide = count >= _WIDE
        kept = self._wide if wide else self._narrow
        known = kept.get(kind) or ()
        for one, text, value in known:
            if one.equals(schema, check_metadata=True) and text in (None, _text(schema)):
                return value
        made, told = self._make(schema, *more), None
        if not all(map(_is_told_apart, schema.types)) and "extension<" in (whole := _text(schema)):
            told = whole
        kept.put(kind, ((schema, told, made), *known[: 0 if wide else _ALIKE - 1]))
        return made


def _is_told_apart(kind: "pa.DataType") -> bool:
    """Return whether Arrow tells a type from all others.

    Two extension types are one to it as the values of dictionaries and of runs, of any depth.
    """
    return kind.num_fields == 0 and not hasattr(kind, "value_type")


def _text(schema: "pa.Schema") -> str:
    text: str = schema.to_string(truncate_metadata=False, show_schema_metadata=False)
    return text
