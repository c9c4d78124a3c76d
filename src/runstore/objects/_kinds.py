"""What stands at a key: an Arrow or Parquet file with our header, or a plain file.

The extension says it where it is a known format. Where it is not (``model.v2``, ``x.yaml``), the
content does: an Arrow file is an Arrow object, anything else is a plain file.
"""

from runstore.buffers import Buffer, flat
from runstore.containers import footer_start
from runstore.errors import CorruptObjectError, InvalidNameError
from runstore.file_types import ARROW_MAGIC
from runstore.keys import ARROW, FORMATS, AnyPlace, is_shortened, key_of
from runstore.plugins import has_format

__all__ = [
    "CONTAINERS",
    "check_whole_name",
    "container_in",
    "container_of",
    "ends_as_container",
    "is_plain",
]

CONTAINERS = (ARROW, "parquet")
"""The formats that keep our header."""


def is_plain(extension: str) -> bool:
    """Return whether every file with this extension is a plain one."""
    return extension in FORMATS and extension not in CONTAINERS


def container_of(extension: str) -> str:
    """Return in which of `CONTAINERS` an object with this extension is, if it is no plain file."""
    return extension if extension in CONTAINERS else ARROW


def container_in(extension: str, data: Buffer, ref: str) -> str | None:
    """Return in which of `CONTAINERS` the whole file *data* is; None if it is a plain file."""
    if extension in CONTAINERS:
        return extension
    if extension in FORMATS:
        return None
    view = flat(data)
    if bytes(view[:8]) == ARROW_MAGIC and not _is_of_plugin(extension, view):
        return ARROW
    return ends_as_container(extension, view, view.nbytes, ref)


def ends_as_container(extension: str, tail: memoryview, size: int, ref: str) -> str | None:
    """Return what `container_in` does, from the end of a file alone.

    Args:
        extension: Of its name.
        tail: Its last bytes; all of a file of 8 bytes or fewer.
        size: Its size in bytes.
        ref: What to call it.
    """
    if extension in CONTAINERS:
        return extension
    if extension in FORMATS or bytes(tail[-6:]) != ARROW_MAGIC[:6]:
        return None
    try:
        footer_start(tail[-10:], size, ref)
    except CorruptObjectError:
        return None
    return None if _is_of_plugin(extension, tail) else ARROW


def check_whole_name(place: AnyPlace) -> None:
    """Raise InvalidNameError if the key of a plain file would not have all of its name."""
    if is_shortened(key_of(place)):
        raise InvalidNameError(
            f"object name {place.name[:40]!r}… has a part too long for a file name, and a plain "
            "file has no room to keep the full name: shorten it",
            place.name,
        )


def _is_of_plugin(extension: str, view: memoryview) -> bool:
    """Return whether an Arrow file is not ours, but of the format that an installed package brings.

    Its format may be Arrow, too. Objects that were put without the package have our header.
    """
    if not has_format(extension):
        return False
    return _OURS not in bytes(view[-_FOOTERS:])


_OURS = b"runstore.object"
_FOOTERS = 64 * 1024  # bytes; the entries stand at the end of a footer
