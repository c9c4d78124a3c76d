"""Where the data of a batch begins in a file, and how it is made to begin at a multiple of 64."""

import io
from typing import Any

import pyarrow as pa

from runstore.buffers import flat
from runstore.containers._messages import message_at, parse_batch
from runstore.schemas import BySchema

__all__ = ["aligning"]

_ALIGNMENT = 64
_PAD = "runstore.pad"
_KEPT = 64 * 1024  # bytes of a message that are looked at


def aligning(
    schema: pa.Schema, batch: pa.RecordBatch, position: int
) -> tuple[dict[str, str] | None, int]:
    """Return metadata for *batch* so long that its first data buffer starts at a multiple of 64.

    Arrow itself aligns to 8 bytes; NumPy's widest types, SIMD code and decimals want more. Also
    returned is how long the message in front of the data is then; 0 if that is not known.
    """
    blob = batch.num_columns == 1 and pa.types.is_large_binary(schema.field(0).type)
    if batch.num_rows <= 1 and not (blob and batch.num_rows):
        return None, 0
    of_schema, of_batch, is_first = _lengths.of(schema, batch)
    start = (position or 8 + of_schema) + of_batch  # the magic takes 8
    if blob:
        start += 8 * (batch.num_rows + 1)  # the offsets come before the data
    # The message is a multiple of 8 as it is, and a pad of 8 or more makes it that much longer.
    padding = -start % _ALIGNMENT
    return {_PAD: " " * padding}, (of_batch + padding if is_first else 0)


def _message_lengths(schema: pa.Schema, batch: pa.RecordBatch) -> tuple[int, int, bool]:
    """Return how long the messages of a schema and of its batches are, without data and pad.

    That depends on the schema alone, so it is read off a stream of two rows. Also returned is
    whether no dictionary comes in between.
    """
    probe = _Beginning()
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)
    with pa.ipc.new_stream(pa.PythonFile(probe, "w"), schema, options=options) as stream:
        stream.write_batch(batch.slice(0, 2), custom_metadata={_PAD: ""})
    return probe.lengths


_lengths: BySchema[tuple[int, int, bool]] = BySchema(_message_lengths)


class _Beginning(io.RawIOBase):
    """Takes a stream of messages and keeps what tells the lengths of the first two."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = flat(data)
        missing = 16 if len(self._kept) < 8 else self._end_of_first() + 8
        self._kept += view[: max(0, missing + _KEPT - len(self._kept))]
        return view.nbytes

    def _end_of_first(self) -> int:
        return 8 + int.from_bytes(self._kept[4:8], "little")

    @property
    def lengths(self) -> tuple[int, int, bool]:
        """How long the first two messages are, without the data; if the second is of rows."""
        first = self._end_of_first()
        second = 8 + int.from_bytes(self._kept[first + 4 : first + 8], "little")
        whole = first + second <= len(self._kept)
        message = message_at(memoryview(self._kept), first) if whole else None
        batch = parse_batch(message) if message is not None else None
        return first, second, batch is not None and not batch.dictionary
