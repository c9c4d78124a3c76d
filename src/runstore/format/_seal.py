"""The footer's two digests: written in one pass, checked without trusting a parser.

Arrow and Parquet files both end in ``<footer><footer length><magic>``, and both
footers hold key-value text. Two of ours are fixed-width slots:

    runstore.body      xxh3_128:<32 hex digits>   of every byte before the footer
    runstore.digest    xxh3_128:<32 hex digits>   of the footer to the end of the file,
                                                  with its own 32 digits as zeros

Together they cover every byte of the file. The second covers the first, so the
structure of a large file can be checked without reading its data, and a copy
can get a new key by rewriting the footer alone.
"""

import re
import secrets

import xxhash

from runstore.buffers import Buffer, flat
from runstore.errors import CorruptObjectError

__all__ = ["Seal", "body_is_intact", "footer_start", "is_sealed", "reseal"]

_PREFIX = b"xxh3_128:"
_DIGEST = re.compile(rb"xxh3_128:([0-9a-f]{32})")
_ZEROS = b"0" * 32

# The magic at the end, and how many bytes the length and the magic take together.
_ENDINGS = ((b"ARROW1", 10), (b"PAR1", 8))


class Seal:
    """The two slots of a file that is being written."""

    def __init__(self) -> None:
        self._body = xxhash.xxh3_128()
        self._body_slot = secrets.token_hex(16).encode()
        self._footer_slot = secrets.token_hex(16).encode()

    @property
    def slots(self) -> dict[bytes, bytes]:
        """The key-values to put into the footer, still with placeholders."""
        return {
            b"runstore.body": _PREFIX + self._body_slot,
            b"runstore.digest": _PREFIX + self._footer_slot,
        }

    def add(self, data: Buffer) -> None:
        """Take in the next bytes of the body."""
        self._body.update(flat(data))

    def close(self, tail: bytes) -> tuple[bytes, str]:
        """Fill in the slots of *tail*, the file's last bytes from somewhere before the footer on.

        Returns:
            The tail as it is to be written, and the digest of the body.
        """
        before = 8  # at least the magic went out before
        start = footer_start(tail, before + len(tail), "object being written") - before
        self._body.update(tail[:start])
        body = self._body.hexdigest()
        footer = tail[start:].replace(self._body_slot, body.encode())
        footer = footer.replace(self._footer_slot, _ZEROS)
        digest = xxhash.xxh3_128_hexdigest(footer).encode()
        at = tail.index(self._footer_slot) - start
        return tail[:start] + footer[:at] + digest + footer[at + 32 :], _PREFIX.decode() + body


def footer_start(tail: bytes | memoryview, size: int, ref: str) -> int:
    """Return where in the file the footer begins.

    Args:
        tail: The last bytes of the file, at least 10.
        size: The size of the whole file, in bytes.
        ref: What to call it in an error.

    Raises:
        CorruptObjectError: It is not a whole Arrow or Parquet file.
    """
    for magic, ending in _ENDINGS:
        if len(tail) >= ending and bytes(tail[-len(magic) :]) == magic:
            length = int.from_bytes(tail[-ending : -len(magic)], "little", signed=True)
            start = size - ending - length
            if length > 0 and start >= len(magic):
                return start
    raise CorruptObjectError(
        f"{ref} is damaged or was not written by runstore: its {size} bytes do not end as an "
        "Arrow or Parquet file does",
        ref,
    )


def is_sealed(footer: bytes, ref: str) -> bool:
    """Say whether *footer* (to the end of the file) is sealed and whole; False if it has no seal.

    Raises:
        CorruptObjectError: It has a seal that does not fit.
    """
    for match in _DIGEST.finditer(footer):
        zeroed = footer[: match.start(1)] + _ZEROS + footer[match.end(1) :]
        if xxhash.xxh3_128_hexdigest(zeroed).encode() == match[1]:
            return True
    if b"runstore." in footer or _PREFIX in footer:
        raise CorruptObjectError(f"{ref} is damaged: its footer does not fit its digest", ref)
    return False


def body_is_intact(data: Buffer, start: int, digest: str) -> bool:
    """Say whether the bytes of *data* before *start* have this digest."""
    return _PREFIX.decode() + xxhash.xxh3_128_hexdigest(flat(data)[:start]) == digest


def reseal(footer: bytes, old: bytes, new: bytes) -> bytes:
    """Replace *old* by *new*, of the same length, in a sealed footer, and seal it again."""
    for match in _DIGEST.finditer(footer):
        zeroed = footer[: match.start(1)] + _ZEROS + footer[match.end(1) :]
        if xxhash.xxh3_128_hexdigest(zeroed).encode() == match[1]:
            changed = zeroed.replace(old, new)
            digest = xxhash.xxh3_128_hexdigest(changed).encode()
            return changed[: match.start(1)] + digest + changed[match.end(1) :]
    raise CorruptObjectError("the footer to be changed is not sealed")
