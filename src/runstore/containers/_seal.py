"""The footer's two digests: written in one pass, checked without trusting a parser.

Arrow and Parquet files both end in ``<footer><footer length><magic>``, and both
footers hold key-value text. Two of ours are fixed-width slots:

    runstore.body      xxh3_128:<32 hex digits>   of every byte before the footer
    runstore.digest    xxh3_128:<32 hex digits>   of the footer to the end of the file,
                                                  with its own 32 digits as zeros

Together they cover every byte of the file. The second covers the first, so the
structure of a large file can be checked without reading its data, and a copy
can get a new key by rewriting the footer alone.

Two more slots are there only in large Arrow files, and in files written with a key:

    runstore.structure xxh3_128:<32 hex digits>       of every byte before the footer that is not
                                                      in a buffer of numbers
    runstore.signature hmac-sha256:<64 hex digits>    of the whole file, with its own digits and
                                                      those of runstore.digest as zeros, and of
                                                      where these stand
"""

import hashlib
import hmac
import re
import secrets
import struct
from itertools import islice
from typing import TYPE_CHECKING

import xxhash

from runstore.buffers import Buffer, flat
from runstore.errors import CorruptObjectError

if TYPE_CHECKING:
    from runstore.containers._structure import StructureDigest

__all__ = [
    "DIGEST_PREFIX",
    "Seal",
    "body_is_intact",
    "footer_start",
    "has_signature",
    "is_sealed",
    "place_of_digest",
    "reseal",
    "signature_at",
]

DIGEST_PREFIX = b"xxh3_128:"
# Both formats put the length of a text in front of it: here 41 or 76, in one byte or in four.
_DIGEST = re.compile(rb"\)(?:\0\0\0)?xxh3_128:([0-9a-f]{32})")
_ZEROS = b"0" * 32
_SIGNED = b"hmac-sha256:"
_SIGNATURE = re.compile(rb"L(?:\0\0\0)?hmac-sha256:([0-9a-f]{64})")
_UNSIGNED = b"0" * 64
_CANDIDATES = 64  # texts of a footer that may be its digest; each costs a digest of the footer

# The magic at the end, and how many bytes the length and the magic take together.
_ENDINGS = ((b"ARROW1", 10), (b"PAR1", 8))


class Seal:
    """The slots of a file that is being written.

    Args:
        key: To sign it with; None for a file without a signature.
        structure: To digest what is not numbers with; None for a file without this digest.
    """

    def __init__(
        self, key: bytes | None = None, structure: "StructureDigest | None" = None
    ) -> None:
        self._body = xxhash.xxh3_128()
        self._signed = hmac.new(key, digestmod=hashlib.sha256) if key is not None else None
        self._size = 0
        self._structure = structure
        placeholders = secrets.token_hex(80).encode()
        self._body_slot = placeholders[:32]
        self._footer_slot = placeholders[32:64]
        self._structure_slot = placeholders[64:96]
        self._signature_slot = placeholders[96:]

    @property
    def signs(self) -> bool:
        """Whether the file is signed, which takes longer than writing it."""
        return self._signed is not None

    @property
    def slots(self) -> dict[bytes, bytes]:
        """The key-values to put into the footer, still with placeholders."""
        slots = {
            b"runstore.body": DIGEST_PREFIX + self._body_slot,
            b"runstore.digest": DIGEST_PREFIX + self._footer_slot,
        }
        if self._structure is not None:
            slots[b"runstore.structure"] = DIGEST_PREFIX + self._structure_slot
        if self._signed is not None:
            slots[b"runstore.signature"] = _SIGNED + self._signature_slot
        return slots

    def add(self, data: Buffer) -> None:
        """Take in the next bytes of the body."""
        view = flat(data)
        self._body.update(view)
        self._size += view.nbytes
        if self._structure is not None:
            self._structure.add(view)
        if self._signed is not None:
            self._signed.update(view)

    def close(self, tail: bytes) -> tuple[bytes, str]:
        """Fill in the slots of *tail*, the file's last bytes from somewhere before the footer on.

        Returns:
            The tail as it is to be written, and the digest of the body.
        """
        before = 8  # at least the magic went out before
        start = footer_start(tail, before + len(tail), "object being written") - before
        self.add(tail[:start])
        body = self._body.hexdigest()
        footer = tail[start:].replace(self._body_slot, body.encode())
        if self._structure is not None:
            structure = self._structure.hexdigest().encode()
            footer = footer.replace(self._structure_slot, structure)
        digest_at = footer.index(self._footer_slot)
        footer = footer.replace(self._footer_slot, _ZEROS)
        if self._signed is not None:
            at = footer.index(self._signature_slot)
            footer = footer.replace(self._signature_slot, _UNSIGNED)
            footer = _with(footer, at, _sign(self._signed, self._size, footer, digest_at, at))
        footer = _with(footer, digest_at, xxhash.xxh3_128_hexdigest(footer).encode())
        return tail[:start] + footer, DIGEST_PREFIX.decode() + body


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
    """Return whether *footer* (to the file's end) is sealed and whole; False if it has no seal.

    Raises:
        CorruptObjectError: It has a seal that does not fit.
    """
    if place_of_digest(footer) is not None:
        return True
    if b"runstore." in footer or DIGEST_PREFIX in footer:
        raise CorruptObjectError(f"{ref} is damaged: its footer does not fit its digest", ref)
    return False


def body_is_intact(data: Buffer, start: int, digest: str) -> bool:
    """Return whether the bytes of *data* before *start* have this digest."""
    return DIGEST_PREFIX.decode() + xxhash.xxh3_128_hexdigest(flat(data)[:start]) == digest


def has_signature(footer: bytes) -> bool:
    """Return whether a sealed footer has a signature, whether or not it fits."""
    return b"runstore.signature" in footer and _SIGNATURE.search(footer) is not None


def signature_at(body: Buffer, footer: bytes, key: bytes) -> int | None:
    """Return where in *footer* the signature of the whole file stands; None if none fits *key*.

    Compared in constant time. Every byte is read.
    """
    digest_at = place_of_digest(footer)
    if digest_at is None:
        return None
    zeroed = _with(footer, digest_at, _ZEROS)
    over_body = hmac.new(key, flat(body), hashlib.sha256)
    for match in islice(_SIGNATURE.finditer(footer), _CANDIDATES):
        at = match.start(1)
        expected = _sign(over_body, flat(body).nbytes, _with(zeroed, at, _UNSIGNED), digest_at, at)
        if hmac.compare_digest(expected, match[1]):
            return at
    return None


def reseal(
    footer: bytes,
    old: bytes,
    new: bytes,
    body: Buffer = b"",
    key: bytes | None = None,
    signed_with: bytes | None = None,
) -> bytes:
    """Replace *old* by *new*, of the same length, in a sealed footer, and seal it again.

    With *key* it is signed again, too; *signed_with* is the key that it is signed with, if
    that is another.
    """
    digest_at = place_of_digest(footer)
    if digest_at is None:
        raise CorruptObjectError("the footer to be changed is not sealed")
    changed = _with(footer, digest_at, _ZEROS).replace(old, new)
    if key is not None:
        at = signature_at(body, footer, signed_with or key)
        if at is None:
            raise CorruptObjectError("the footer to be changed is not signed with this key")
        changed = _with(changed, at, _UNSIGNED)
        over_body = hmac.new(key, flat(body), hashlib.sha256)
        changed = _with(changed, at, _sign(over_body, flat(body).nbytes, changed, digest_at, at))
    return _with(changed, digest_at, xxhash.xxh3_128_hexdigest(changed).encode())


def place_of_digest(footer: bytes) -> int | None:
    """Find the 32 digits that are the digest of all else in *footer*."""
    for match in islice(_DIGEST.finditer(footer), _CANDIDATES):
        at = match.start(1)
        if xxhash.xxh3_128_hexdigest(_with(footer, at, _ZEROS)).encode() == match[1]:
            return at
    return None


def _sign(over_body: hmac.HMAC, size: int, footer: bytes, digest_at: int, at: int) -> bytes:
    """Sign body and *footer*, whose two runs of digits at these places are zeros."""
    signed = over_body.copy()
    signed.update(footer)
    signed.update(struct.pack("<qqq", size, digest_at, at))
    return signed.hexdigest().encode()


def _with(footer: bytes, at: int, digits: bytes) -> bytes:
    return footer[:at] + digits + footer[at + len(digits) :]
