"""Digests of files that have no header of ours, where all other readers pass over them.

    .npy          blanks that end the header, as its padding does
    .safetensors  two entries of ``__metadata__``
    .pkl          a text that is pushed and popped before anything else
    .skops        the comment of the ZIP file
    .json         a line of blanks before the document, of older versions: it is only read

`docs/format.md` specifies them. A file without one, by another program or edited by
hand, is read on trust. Text files are for people, who edit them, so they get none.
"""

import json
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

import xxhash

from runstore.buffers import Buffer, flat
from runstore.containers._read import VERIFY_UP_TO, Verify
from runstore.containers._streamed import pieces
from runstore.errors import CorruptObjectError, InvalidRequestError, UnsupportedValueError

__all__ = ["check_file", "keeps_digest", "with_digest"]


def with_digest(extension: str, parts: list[Buffer], ref: str = "value") -> Iterable[Buffer]:
    """Return a file with its digest; as it is if its format has no place for one.

    Where the digest stands before the data, the data is read twice. Iterating over the
    result then raises if the data was changed in between.

    Args:
        extension: Which format it is of.
        parts: The file, to be written one part after the other.
        ref: What to call it in errors.

    Raises:
        UnsupportedValueError: While iterating: another thread changed the value.
    """
    layout = _WRITTEN.get(extension)
    return parts if layout is None else layout.add(parts, ref)


def check_file(
    extension: str, data: Buffer, ref: str, *, verify: Verify = "auto", mapped: bool = False
) -> bool:
    """Check the digest of a file that `with_digest` was given.

    What describes the data is checked always. The data is too, unless it is a large
    mapped file and *verify* is ``auto``; truth values and text always are.

    Args:
        extension: Which format it is of.
        data: The whole file.
        ref: What to call it in errors.
        verify: Whether to check the digest of the data.
        mapped: Whether reading all of *data* would read it from a disk.

    Returns:
        Whether all of the file fits its digest: not if it has none, or that was not looked at.

    Raises:
        CorruptObjectError: The digest does not fit, or there is none and *verify* is True.
        InvalidRequestError: *verify* is True, and files of its format have no digest.
    """
    layout = _READ.get(extension)
    if layout is None:
        if verify is True:
            raise _unverifiable(extension, ref)
        return False
    view = flat(data)
    wanted = verify is True or (verify == "auto" and (not mapped or view.nbytes <= VERIFY_UP_TO))
    found = layout.fits(view, data_too=wanted)
    if found is False:
        raise CorruptObjectError(
            f"{ref} is damaged: it does not fit its digest. Restore it from a copy, or run again "
            f"the stage that made it. If it was edited on purpose, {layout.way_out}",
            ref,
        )
    if found is None and verify is True:
        if extension not in _WRITTEN:
            raise _unverifiable(extension, ref)
        raise CorruptObjectError(
            f"{ref} has no digest, it was not written by runstore: read it without verify=True", ref
        )
    return wanted and found is True


def keeps_digest(extension: str) -> bool:
    """Return whether files of this format can have a digest."""
    return extension in _READ


def _unverifiable(extension: str, ref: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{ref} cannot be verified: a .{extension} file has no digest. Read it without verify=True",
        ref,
    )


class _Reading(Protocol):
    way_out: str
    """How to have an edited file read again, to follow "If it was edited on purpose, "."""

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        """Return whether the digest fits; None if there is none."""
        ...


class _Layout(_Reading, Protocol):
    def add(self, parts: list[Buffer], ref: str) -> Iterable[Buffer]:
        """Return the file with its digest; see `with_digest`."""
        ...


# One digest, of all bytes but its own place ------------------------------------------------------


class _Json:
    """128 blanks on a line of their own, the first, in files of older versions.

    A person who edits the document deletes that line, or an editor does that strips blanks.
    """

    way_out = "delete its first line, which is all blanks and is the digest of what was there"

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        match = _FIRST_LINE.match(view[:129])
        return None if match is None else _digest(view[129:]) == _of_blanks(match[1])


_FIRST_LINE = re.compile(rb"([ \t]{128})\n")


class _Pickle:
    """A text at the very beginning: so a pickle that was cut is found out before it is loaded."""

    way_out = "write it again with pickle.dump"

    def add(self, parts: list[Buffer], ref: str) -> Iterable[Buffer]:
        whole = flat(b"".join(parts) if len(parts) > 1 else parts[0])
        if whole[: len(_PROTO)] != _PROTO:
            return parts
        text = _MARK + _digest(whole).encode()
        push = b"\x8c" + bytes([len(text)]) + text  # SHORT_BINUNICODE
        return [_PROTO, push + b"0", whole[len(_PROTO) :]]  # POP

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        head = bytes(view[:_PUSHED])
        if match := _FIRST_TEXT.match(head):
            return _digest(_PROTO, view[match.end() :]) == match[1].decode()
        # Damaged digits would be taken for opcodes.
        return False if _MARK_BEGINS in head or _PREFIX in head else None


_PROTO = b"\x80\x05"
_PREFIX = b"xxh3_128:"
_MARK_BEGINS = b"runstore.body"
_MARK = _MARK_BEGINS + b"=" + _PREFIX
_PUSHED = 60
_FIRST_TEXT = re.compile(rb"\x80\x05\x8c\x37" + _MARK + rb"([0-9a-f]{32})0")


class _Zip:
    """The comment at the end of the archive."""

    way_out = "write it again with skops.io.dump"

    def add(self, parts: list[Buffer], ref: str) -> Iterable[Buffer]:
        whole = flat(b"".join(parts) if len(parts) > 1 else parts[0])
        if bytes(whole[-22:-18]) != b"PK\5\6" or bytes(whole[-2:]) != b"\0\0":
            return parts  # has a comment
        length = struct.pack("<H", len(_MARK) + 32)
        return [whole[:-2], length, _MARK + _digest(whole[:-2], length).encode()]

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        tail = bytes(view[-len(_MARK) - 32 :])
        if match := _COMMENT.match(tail):
            return _digest(view[: -len(tail)]) == match[1].decode()
        return False if _MARK_BEGINS in tail or _PREFIX in tail else None


_COMMENT = re.compile(_MARK + rb"([0-9a-f]{32})\Z")


# Two digests: of the data, and of the head that says how to read it -----------------------------


class _Npy:
    """256 blanks before the line end of the header: the digests of the data and of the header.

    Not behind the data: readers that take the array up to the end of the file would
    find some more of it there, or refuse it.
    """

    way_out = "write it again: np.save(path, np.load(path))"

    def add(self, parts: list[Buffer], ref: str) -> Iterable[Buffer]:
        head = bytes(flat(parts[0]))
        before = _before_text(head)
        text = head[before:].rstrip()
        text += b" " * (-(before + len(text) + 257) % 64)
        size = struct.pack("<H" if before == 10 else "<I", len(text) + 257)
        body = _digest(*parts[1:])
        head = head[:8] + size + text + _blanks(body)
        last = _blanks(_digest(head, _NO_BLANKS, b"\n"))
        return _unchanged(head + last + b"\n", parts[1:], body, ref)

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        before = _before_text(view)
        start = before + int.from_bytes(view[8:before], "little")
        head = bytes(view[: min(start, _LONGEST_HEAD)])
        match = _PADDING.search(head, max(0, len(head) - 257))
        if match is None or b"\t" not in match[0]:
            return None
        if _digest(head[:-129], _NO_BLANKS, b"\n") != _of_blanks(match[2]):
            return False
        data_too = data_too or _JUDGED.search(head) is not None
        return not data_too or _digest(view[start:]) == _of_blanks(match[1])


_NO_BLANKS = b" " * 128
_JUDGED = re.compile(rb"\|b1|[<>=|]U\d|'\?'")  # truth values and text: not any bits are one
_LONGEST_HEAD = 1 << 20  # far more than that of any array has
_PADDING = re.compile(rb"([ \t]{128})([ \t]{128})\n\Z")


def _before_text(head: Buffer) -> int:
    """Return where the text begins: behind magic, version and length, which grew with version 2."""
    return 10 if bytes(flat(head)[6:7]) == b"\1" else 12


class _Safetensors:
    """``runstore.body`` and ``runstore.digest``, as in the footer of an Arrow file."""

    way_out = "save it without the entries runstore.body and runstore.digest of its __metadata__"

    def add(self, parts: list[Buffer], ref: str) -> Iterable[Buffer]:
        header = json.loads(bytes(flat(parts[0])[8:]))
        body = _digest(*parts[1:])
        slots = {_BODY: _PREFIX.decode() + body, _DIGEST: _EMPTY}
        header["__metadata__"] |= slots
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-(8 + len(text)) % 64)
        head = struct.pack("<Q", len(text)) + text
        head = _filled(head, xxhash.xxh3_128_hexdigest(head).encode())
        return _unchanged(head, parts[1:], body, ref)

    def fits(self, view: memoryview, *, data_too: bool) -> bool | None:
        start = 8 + int.from_bytes(view[:8], "little")
        if start > view.nbytes:
            return None  # and too short to be read
        head = bytes(view[:start])
        body, digest = _BODY_IN.search(head), _DIGEST_IN.search(head)
        if body is None or digest is None:
            return False if body or digest else None
        if xxhash.xxh3_128_hexdigest(_filled(head, b"0" * 32)).encode() != digest[1]:
            return False
        data_too = data_too or b'"BOOL"' in head
        return not data_too or _digest(view[start:]) == body[1].decode()


_BODY, _DIGEST = "runstore.body", "runstore.digest"
_EMPTY = _PREFIX.decode() + "0" * 32
_BODY_IN = re.compile(rb'"runstore\.body":"xxh3_128:([0-9a-f]{32})"')
_DIGEST_IN = re.compile(rb'"runstore\.digest":"xxh3_128:([0-9a-f]{32})"')


def _filled(head: bytes, digits: bytes) -> bytes:
    """Replace the digits of ``runstore.digest`` in the header."""
    match = _DIGEST_IN.search(head)
    assert match is not None
    return head[: match.start(1)] + digits + head[match.end(1) :]


_WRITTEN: dict[str, _Layout] = {
    "npy": _Npy(),
    "pkl": _Pickle(),
    "safetensors": _Safetensors(),
    "skops": _Zip(),
}
_READ: dict[str, _Reading] = {**_WRITTEN, "json": _Json()}


def _digest(*parts: Buffer) -> str:
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(flat(part))
    return state.hexdigest()


def _unchanged(head: bytes, data: list[Buffer], digest: str, ref: str) -> Iterator[Buffer]:
    """Return *head* and *data*, and raise if the data that was given out has another digest."""
    yield head
    state = xxhash.xxh3_128()
    for piece in pieces(data):
        state.update(piece)
        yield piece
    if state.hexdigest() != digest:
        raise UnsupportedValueError(
            f"cannot store {ref}: it changed while it was being stored. Let no other thread write "
            "to it meanwhile, or put a copy",
            ref,
        )


def _blanks(digest: str) -> bytes:
    """Write 32 hex digits as 128 blanks, the highest bit first: a space is 0, a tab is 1."""
    return f"{int(digest, 16):0128b}".encode().translate(_TO_BLANKS)


def _of_blanks(blanks: bytes) -> str:
    return f"{int(bytes(blanks).translate(_TO_BITS), 2):032x}"


_TO_BLANKS = bytes.maketrans(b"01", b" \t")
_TO_BITS = bytes.maketrans(b" \t", b"01")
