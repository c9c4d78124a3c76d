"""A value on its way down: encoded for a place, or refused with the reason."""

from typing import Any

from runstore import codecs
from runstore.codecs import Codec, Encoded, Pickling
from runstore.errors import UnsupportedValueError
from runstore.keys import Place

__all__ = ["check_table", "encoded_for"]


def encoded_for(place: Place, value: Any, pickling: Pickling) -> tuple[Codec, Encoded]:
    """Encode a value; see `runstore.codecs.encode`. What is refused is refused by name."""
    try:
        return codecs.encode(value, pickling)
    except UnsupportedValueError as exc:
        if exc.ref is not None:
            raise
        what = exc.message.removeprefix("cannot store ")
        raise UnsupportedValueError(f"cannot store {place}: {what}", str(place)) from exc


def check_table(place: Place, value: Any, encoded: Encoded, pickling: Pickling) -> None:
    """Raise UnsupportedValueError, with the reason, unless a value is a table without pickles."""
    if encoded.columns is not None and not pickling.used:
        return
    raise UnsupportedValueError(
        f"cannot store {place}: Parquet holds plain tables, not "
        f"{codecs.why_no_table(value, encoded)}. Leave the extension away to store it exactly",
        str(place),
    )
