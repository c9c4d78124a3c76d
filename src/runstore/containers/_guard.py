"""What is accepted of a file that fits its digests: anybody who can write can make them fit."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from runstore.errors import UnsafePickleError, UnsupportedFormatError

__all__ = ["Guard"]

_MIB = 1 << 20

_LIGHT = 4
"""Objects of Python count a quarter of what they take where the writer is trusted."""

# Types whose classes only look at what a file gives them: Arrow's own, and those that pandas
# and the GeoArrow readers register. Others might execute it.
_HARMLESS = {
    *("arrow.bool8", "arrow.fixed_shape_tensor", "arrow.json", "arrow.opaque"),
    *("arrow.parquet.variant", "arrow.timestamp_with_offset", "arrow.uuid"),
    *("arrow.variable_shape_tensor", "ogc.wkb", "pandas.interval", "pandas.period"),
    *(f"geoarrow.{name}" for name in ("box", "geometry", "wkb", "wkb_view", "wkt", "wkt_view")),
    *(f"geoarrow.{many}{name}" for many in ("", "multi") for name in ("point", "linestring")),
    *("geoarrow.polygon", "geoarrow.multipolygon", "geoarrow.geometrycollection"),
}


def _unknown(names: Iterable[str]) -> list[str]:
    return sorted(set(names) - _HARMLESS)


def _extensions(field: pa.Field) -> Iterator[str]:
    """Return the names of the extension types of a field and of its parts."""
    kind = field.type
    if b"ARROW:extension:name" in (field.metadata or {}):
        yield field.metadata[b"ARROW:extension:name"].decode(errors="replace")
    while isinstance(kind, pa.BaseExtensionType):
        yield kind.extension_name
        kind = kind.storage_type
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _extensions(pa.field("", kind.value_type))
    else:
        for at in range(kind.num_fields):
            yield from _extensions(kind.field(at))


class Guard:
    """The limits of reading one store.

    Args:
        trusted: Whether whoever writes there may run code here, as under ``pickle="allow"``.
        multiple: Returns the setting ``max_decoded``; None where it is not set. Only called
            for an object that takes more memory than any may.
    """

    def __init__(self, *, trusted: bool, multiple: Callable[[], float | None]) -> None:
        self.trusted = trusted
        self._multiple = multiple

    def check_extensions(self, names: Iterable[str], ref: str) -> None:
        """Raise UnsafePickleError if reading a field of these types might execute code."""
        if self.trusted:
            return
        if unknown := _unknown(names):
            raise UnsafePickleError(
                f"{ref} holds the Arrow extension type {', '.join(map(repr, unknown))}: the class "
                "that is registered for it may execute what the file says. Under pickle='deny', "
                "and for what is not signed under 'signed', only Arrow's own types, pandas' and "
                "GeoArrow's are read. If you trust the object, get() it with pickle='allow'",
                ref,
            )

    def check_written(self, schema: pa.Schema, ref: str) -> None:
        """Raise UnsafePickleError if readers would refuse the extension types of a schema."""
        if self.trusted:
            return
        if unknown := _unknown(name for field in schema for name in _extensions(field)):
            raise UnsafePickleError(
                f"cannot store {ref}: it has the Arrow extension type "
                f"{', '.join(map(repr, unknown))}, and readers of this store refuse it, since the "
                "class that is registered for it may execute what a file says. Store its storage, "
                "or open the store with pickle='allow'",
                ref,
            )

    def check_decoded(self, decoded: int, stored: int, ref: str, *, objects: bool = False) -> None:
        """Raise UnsupportedFormatError if an object takes too much memory for its size.

        Args:
            decoded: Bytes that it takes in memory.
            stored: Bytes that it takes in the store.
            ref: What to call it in the error.
            objects: Whether it takes them as objects of Python.
        """
        if self.allows(decoded, stored, objects=objects):
            return
        raise UnsupportedFormatError(
            f"{ref} would take {decoded / _MIB:,.0f} MiB in memory, and is {stored:,} bytes in the "
            "store: that may be a file made to exhaust memory. If it is not, set "
            f"RUNSTORE_MAX_DECODED to how many times its size an object may take, "
            f"{decoded // max(stored, 1) + 1} for this one",
            ref,
        )

    def allows(self, decoded: int, stored: int, *, objects: bool = False) -> bool:
        """Return whether an object of so many stored bytes may take so many in memory."""
        if objects and self.trusted:
            decoded //= _LIGHT
        free, multiple = (1024 * _MIB, 1000.0) if self.trusted else (32 * _MIB, 100.0)
        if decoded <= free:
            return True
        wanted = self._multiple()
        return decoded <= stored * (multiple if wanted is None else wanted)
