"""Encoding: a value for a place, or the reason why it is refused."""

from typing import Any

from runstore import codecs
from runstore.codecs import Codec, Encoded, Pickling
from runstore.errors import UnsupportedValueError
from runstore.keys import Place

__all__ = ["encoded_for"]


def encoded_for(
    place: Place, value: Any, extension: str, pickling: Pickling
) -> tuple[Codec, Encoded]:
    """Encode a value; see `runstore.codecs.encode`. Errors name the object."""
    table = extension == "parquet"
    try:
        return (codecs.encode_table if table else codecs.encode)(value, pickling)
    except UnsupportedValueError as exc:
        if exc.ref is not None:
            raise
        what = exc.message.removeprefix("cannot store ")
        hint = ". Store it under a name without .parquet, which keeps it exactly" if table else ""
        raise UnsupportedValueError(f"cannot store {place}: {what}{hint}", str(place)) from exc
