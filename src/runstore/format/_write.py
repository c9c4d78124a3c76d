"""Record batches to the bytes of one Arrow file, in one pass, without copying the data."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.errors import UnsupportedValueError
from runstore.format._header import FORMAT_VERSION, Header
from runstore.format._seal import Seal

__all__ = ["Written", "arrow_file"]

_SMALL = 64 * 1024  # below, the file is put together in memory: one write, no sink calls
_ALIGNMENT = 64
_PAD = "runstore.pad"


class Written:
    """The bytes of one file, as buffers to be written one after the other.

    To be iterated over once; afterwards ``size`` and ``digest`` are known.

    Attributes:
        size: Bytes given out so far.
        digest: Of the file's body, once the last buffer has been given out.
    """

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        header: Header,
        options: Any,
        small: bool,
    ) -> None:
        self._schema = schema
        self._batches = batches
        self._seal = Seal()
        self._footer = footer_entries(header, self._seal)
        self._options = options
        self._small = small
        self._ref = str(header.place)
        self.size = 0
        self.digest: str | None = None

    def __iter__(self) -> Iterator[Buffer]:
        try:
            for part in self._in_memory() if self._small else self._streamed():
                self.size += flat(part).nbytes
                yield part
        except pa.ArrowException as exc:
            raise UnsupportedValueError(
                f"cannot store {self._ref}: Arrow cannot write it ({exc})", self._ref
            ) from exc

    def _in_memory(self) -> Iterator[Buffer]:
        sink = pa.BufferOutputStream()
        writer = self._writer(sink)
        for batch in self._batches:
            writer.write_batch(batch)
        writer.close()
        whole, self.digest = self._seal.close(sink.getvalue().to_pybytes())
        yield whole

    def _streamed(self) -> Iterator[Buffer]:
        sink = _Sink()
        writer = self._writer(pa.PythonFile(sink, "w"))
        for batch in self._batches:
            padding = _aligning(self._schema, batch, sink.position)
            writer.write_batch(batch, custom_metadata=padding)
            for part in sink.take():
                self._seal.add(part)
                yield part
        writer.close()
        tail, self.digest = self._seal.close(b"".join(sink.take()))
        yield tail

    def _writer(self, sink: Any) -> Any:
        return pa.ipc.new_file(sink, self._schema, options=self._options, metadata=self._footer)


def arrow_file(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    header: Header,
    *,
    nbytes: int | None = None,
    compression: str | None = None,
) -> Written:
    """Encode *batches* as one self-describing Arrow IPC file.

    The data of the batches is passed on as it is, not copied; with *compression*
    one batch at a time is compressed.

    Args:
        schema: The schema of every batch.
        batches: Any number, none included.
        header: What the file says about itself.
        nbytes: About how large the data is, if known.
        compression: ``lz4``, ``zstd`` or None.
    """
    options = pa.ipc.IpcWriteOptions(compression=compression, unify_dictionaries=True)
    return Written(schema, batches, header, options, nbytes is not None and nbytes < _SMALL)


def footer_entries(header: Header, seal: Seal) -> dict[bytes, bytes]:
    """Give the key-values of a file's footer."""
    document = header.to_json()
    assert document is not None
    return {
        b"runstore.version": str(FORMAT_VERSION).encode(),
        b"runstore.object": document,
        **seal.slots,
    }


def _aligning(schema: pa.Schema, batch: pa.RecordBatch, position: int) -> dict[str, str] | None:
    """Give metadata for *batch* so long that its first data buffer starts at a multiple of 64.

    Arrow itself aligns to 8 bytes; NumPy's widest types, SIMD code and decimals want more.
    How long the message before the data gets is read off a one-row sibling.
    """
    blob = batch.num_columns == 1 and pa.types.is_large_binary(schema.field(0).type)
    if batch.num_rows > 1:
        sibling = batch.slice(0, 1)
    elif blob and batch.num_rows == 1:
        sibling = pa.record_batch([pa.array([b" "], pa.large_binary())], schema=schema)
    else:
        return None
    probe = pa.BufferOutputStream()
    with pa.ipc.new_stream(probe, schema) as stream:
        stream.write_batch(sibling, custom_metadata={_PAD: ""})
    messages = memoryview(probe.getvalue())
    schema_length = 8 + int.from_bytes(messages[4:8], "little")
    batch_length = 8 + int.from_bytes(messages[schema_length + 4 : schema_length + 8], "little")
    start = (position or 8 + schema_length) + batch_length  # the magic takes 8
    if blob:
        start += 8 * (batch.num_rows + 1)  # the offsets come before the data
    return {_PAD: " " * (-start % _ALIGNMENT)}


class _Sink(io.RawIOBase):
    """Collects what Arrow writes; large buffers arrive as views on the caller's memory."""

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self._small: list[bytes] = []
        self.position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = flat(data).nbytes
        self.position += size
        if size < _SMALL:
            self._small.append(bytes(data))
        else:
            self._join()
            self._parts.append(data)
        return size

    def take(self) -> list[Buffer]:
        """Give what has come since the last call, small pieces joined."""
        self._join()
        parts, self._parts = self._parts, []
        return parts

    def _join(self) -> None:
        if self._small:
            self._parts.append(b"".join(self._small))
            self._small = []
