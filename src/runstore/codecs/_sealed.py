"""Seals of objects of parts, as a codec: so a seal is read and checked as any other object."""

from typing import Any

from runstore.buffers import flat
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.seals import SEAL_VERSION, SEALED, Sealed, seal_rows, seal_spec, sealed_in

__all__ = ["SealedCodec"]


class SealedCodec:
    """Seals. `runstore.objects` writes and reads them without it; no seal is put as a value."""

    name = SEALED
    version = SEAL_VERSION

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        if not isinstance(value, Sealed):
            return None
        rows = seal_rows(value)
        return Encoded(rows.schema, [rows], seal_spec(value))

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Sealed:
        """See `runstore.codecs.Codec.decode`; every entry is checked."""
        opened.check_all()  # its numbers, too, if it is large and mapped
        return sealed_in(opened.table(), spec, opened.ref, flat(opened.data).nbytes)
