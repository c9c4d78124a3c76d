"""Files that are kept as they are, by the extension of the name: text, and bytes of all kinds.

Text under ``.html`` is stored as exactly that text in UTF-8, bytes under ``.png`` as exactly
those bytes. A picture of matplotlib or Pillow is saved as a file of the extension's kind.
`runstore.file_types` has the list.
"""

import io
from collections.abc import Callable
from typing import Any

from runstore.buffers import Buffer, flat
from runstore.codecs._base import is_a, type_name
from runstore.codecs._pickle import Pickling
from runstore.errors import UnsupportedFormatError, UnsupportedValueError
from runstore.file_types import ARROW_MAGIC, BYTES_FILES, TEXT_FILES

__all__ = ["raw_codec", "takes_as_file"]


def raw_codec(extension: str) -> "_Text | _Bytes | None":
    """Return the codec of the files with this extension; None if it is not in the list."""
    if extension in TEXT_FILES:
        return _Text(extension)
    return _Bytes(extension) if extension in BYTES_FILES else None


def takes_as_file(value: Any) -> bool:
    """Return whether a value is stored as a plain file under an extension of the list.

    Tables are, to be refused there: an Arrow file called ``x.xlsx`` would mislead.
    """
    kind = type(value)
    return (
        issubclass(kind, (str, bytes, bytearray)) or _picture(kind) is not None or _is_table(kind)
    )


class _Raw:
    """What text and bytes have in common."""

    def __init__(self, extension: str) -> None:
        self._extension = extension

    def _refused(self, ref: str, why: str) -> UnsupportedValueError:
        return UnsupportedValueError(f"cannot store {ref}: {why}", ref)

    def _checked(self, data: bytes, ref: str) -> list[Buffer]:
        if data.startswith(ARROW_MAGIC):  # `get` would take it for an object of runstore
            raise self._refused(
                ref,
                "these are the bytes of an Arrow file. Read the table in it and store that, or "
                "store the bytes under a name without an extension",
            )
        return [data]

    def _other(self, value: Any, ref: str) -> UnsupportedValueError:
        kind = type(value)
        if _is_table(kind):
            return self._refused(
                ref,
                f"a .{self._extension} file is not written from a {type_name(kind)}. Store the "
                "table under a name that ends in .parquet or .csv, or has no extension; or write "
                "the file with the library of its format and store that with put_file()",
            )
        comes_back = "text (str)" if self._extension in TEXT_FILES else "bytes"
        return self._refused(
            ref,
            f"a .{self._extension} file comes back as {comes_back}, and this is "
            f"{type_name(kind).removeprefix('builtins.')}: {self._way_out(kind)}",
        )

    def _way_out(self, kind: type) -> str:
        if _picture(kind) is not None:
            return "store the picture under a name that ends in .png, .svg or .pdf"
        text = self._extension in TEXT_FILES
        if text and issubclass(kind, (bytes, bytearray)):
            return "put value.decode(), or store the bytes as they are with open(name, 'wb')"
        if not text and issubclass(kind, str):
            return "put value.encode()"
        return f"put {'str' if text else 'bytes'}(value)"


class _Text(_Raw):
    """Text, in UTF-8 as it is."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        if type(value) is not str:
            raise self._other(value, ref)
        try:
            return self._checked(value.encode(), ref)
        except UnicodeEncodeError as exc:
            raise self._refused(
                ref,
                f"the text has a lone surrogate at position {exc.start}, which no text file can "
                "hold. Store it under a name without an extension, which keeps it exactly",
            ) from exc

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """See `runstore.codecs.FileCodec.decode`."""
        try:
            return bytes(flat(data)).decode()
        except UnicodeDecodeError as exc:
            raise UnsupportedFormatError(
                f"{ref} is not text in UTF-8 (byte {exc.start}): read it with "
                "get(name, as_type=bytes), and decode it",
                ref,
            ) from exc


class _Bytes(_Raw):
    """Bytes, as they are; and pictures, as their library saves them."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        if type(value) is bytes:
            return self._checked(value, ref)
        save = _picture(type(value))
        if save is None:
            raise self._other(value, ref)
        sink = io.BytesIO()
        try:
            if not save(value, self._extension, sink):
                raise self._other(value, ref)
        except (ValueError, OSError, KeyError) as exc:  # a mode that the format has not
            raise self._refused(
                ref,
                f"{type_name(type(value))} cannot be saved as .{self._extension} ({exc}): store "
                "it under a name that ends in .png",
            ) from exc
        return [sink.getvalue()]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """See `runstore.codecs.FileCodec.decode`."""
        return bytes(flat(data))


def _is_table(kind: type) -> bool:
    return (
        hasattr(kind, "__arrow_c_stream__")
        or hasattr(kind, "__dataframe__")
        or is_a(kind, "pandas.Series", "pandas.core.series.Series")
    )


def _picture(kind: type) -> "Callable[[Any, str, io.BytesIO], bool] | None":
    """Return how pictures of this type are saved; None if they are none."""
    if is_a(kind, "matplotlib.figure.Figure"):
        return _save_figure
    return _save_image if is_a(kind, "PIL.Image.Image") else None


def _save_figure(figure: Any, extension: str, sink: io.BytesIO) -> bool:
    if extension not in figure.canvas.get_supported_filetypes():
        return False
    figure.savefig(sink, format=extension)
    return True


def _save_image(image: Any, extension: str, sink: io.BytesIO) -> bool:
    from PIL import Image

    format_name = Image.registered_extensions().get(f".{extension}")
    if format_name not in Image.SAVE:
        return False
    image.save(sink, format=format_name)
    return True
