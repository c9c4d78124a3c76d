"""Datasets of Ray Data: a block is a part, written and read by the worker that has it."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import ray.data
from ray.data.block import BlockAccessor

from runstore.objects import ObjectInfo
from runstore.store._partitions._crossing import PartReader, PartWriter

__all__ = ["put", "read"]


class _Sink(ray.data.Datasink[list[ObjectInfo]]):  # type: ignore[misc]  # Ray has no types
    """Writes blocks as parts: under the number of the task, and of the block in it."""

    def __init__(self, write: PartWriter) -> None:
        self._write = write
        self.infos: list[ObjectInfo] = []

    def write(self, blocks: Iterable[Any], ctx: Any) -> list[ObjectInfo]:
        """Write the blocks of one task; empty ones have no schema of their own."""
        infos = []
        for number, block in enumerate(blocks):
            table = BlockAccessor.for_block(block).to_arrow()
            if table.num_rows:
                infos.append(self._write((ctx.task_idx, number), table))
        return infos

    def on_write_complete(self, write_result: Any) -> None:
        """Collect what was written; of a task that was repeated, the attempt that counts."""
        self.infos = [info for infos in write_result.write_returns for info in infos]


def put(value: Any, write: PartWriter) -> Sequence[ObjectInfo]:
    """Put each block as a table of Arrow."""
    options = value.context.execution_options
    before, options.preserve_order = options.preserve_order, True
    sink = _Sink(write)
    try:
        value.write_datasink(sink)
    finally:
        options.preserve_order = before
    if not sink.infos:
        found = value.schema()
        fields = [] if found is None else zip(found.names, found.types, strict=True)
        return [write((0, 0), pa.schema(fields).empty_table())]
    return sink.infos


def read(reader: PartReader, kind: type) -> Any:
    """Return a dataset with a block for each part."""
    reader = reader.to(pa.Table)
    count = len(reader.parts)
    numbers = ray.data.range(count, override_num_blocks=count)
    numbers.context.execution_options.preserve_order = True
    return numbers.map_batches(
        lambda batch: reader(int(batch["id"][0])), batch_size=1, zero_copy_batch=True
    )
