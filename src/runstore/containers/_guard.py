"""What is accepted of a file that fits its digests: anybody who can write can make them fit."""

from collections.abc import Callable, Iterable

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
        if unknown := sorted(set(names) - _HARMLESS):
            raise UnsafePickleError(
                f"{ref} holds the Arrow extension type {', '.join(map(repr, unknown))}: the class "
                "that is registered for it may execute what the file says. Under pickle='deny', "
                "and for what is not signed under 'signed', only Arrow's own types, pandas' and "
                "GeoArrow's are read. If you trust the object, get() it with pickle='allow'",
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
