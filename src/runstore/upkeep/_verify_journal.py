"""The journal of `verify`: what was found whole so far, so that a check that was stopped goes on.

A text file with one JSON document a line. The first line says of which check it is, each other one
names a file of the store that was found whole, and the last one says that nothing is left. What
was damaged or could not be checked is not in it: that is looked at again.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import xxhash

from runstore.arguments import path_text, shown
from runstore.errors import InvalidRequestError, StorageError
from runstore.places import Entry

__all__ = ["Journal"]

_KIND = "runstore_verify"
_VERSION = 1


class Journal:
    """What an earlier check, which was stopped, has found whole; and where this one notes it.

    In memory there is a digest of 16 bytes for each file that is in it.

    Args:
        path: Where it is kept; made if it is not there. One of a finished check begins anew.
        check: Which check it is: store, scope and policy, as JSON can say it.

    Raises:
        InvalidRequestError: The file is no journal, or that of another check.
        StorageError: It cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], check: dict[str, Any]) -> None:
        text = path_text("verify: journal", path, InvalidRequestError)
        if not isinstance(text, str) or not text or "\0" in text:
            raise InvalidRequestError(f"verify: journal must be a path, not {shown(text)}")
        self._path, self._check = Path(text), check
        self._known: dict[bytes, bool] = {}
        try:
            there = self._path.exists()
            if there and not (self._path.is_file() or self._path.is_dir()):
                raise self._foreign()  # a device or a pipe: reading it may never end
            size = self._read() if there else 0
            self._file = self._path.open("ab")
        except OSError as exc:
            raise self._failed(exc) from exc
        try:
            self._file.truncate(size)
            if not size:
                self._write({_KIND: _VERSION, **check})
        except OSError as exc:
            self._close()
            raise self._failed(exc) from exc
        except BaseException:
            self._close()
            raise

    def _read(self) -> int:
        """Take in what the file says, and return how much of it is to be kept."""
        size = 0
        with self._path.open("rb") as file:
            for position, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break  # the last line of a process that was killed
                noted = self._parsed(line)
                if not position:
                    self._check_first(noted)
                elif "complete" in noted:
                    self._known.clear()
                    return 0
                else:
                    try:
                        self._known[bytes.fromhex(noted["mark"])] = noted["digest"]
                    except (ValueError, TypeError) as exc:
                        raise self._foreign() from exc
                size += len(line)
        if not size and self._path.stat().st_size:
            raise self._foreign()
        return size

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            noted = json.loads(line)
        except ValueError as exc:
            raise self._foreign() from exc
        lines: tuple[set[str], ...] = ({"mark", "digest", "key"}, {"complete"})
        if isinstance(noted, dict) and (_KIND in noted or set(noted) in lines):
            return noted
        raise self._foreign()

    def _check_first(self, noted: dict[str, Any]) -> None:
        if noted.get(_KIND) != _VERSION:
            raise self._foreign()
        if noted != {_KIND: _VERSION, **self._check}:
            raise InvalidRequestError(
                f"verify: {self._path} is the journal of another check (of {noted.get('store')}, "
                f"scope {noted.get('of')}, policy {noted.get('pickle')}): name another file, or "
                "remove this one"
            )

    def _foreign(self) -> InvalidRequestError:
        return InvalidRequestError(
            f"verify: {self._path} is no journal of verify, and is left as it is: name another file"
        )

    def has_digest(self, entry: Entry) -> bool | None:
        """Return whether a file has a digest, if it was found whole before; None if it was not."""
        return self._known.get(_mark(entry))

    def note(self, entry: Entry, *, has_digest: bool) -> None:
        """Note that a file was found whole.

        Raises:
            StorageError: It cannot be written.
        """
        self._write({"mark": _mark(entry).hex(), "digest": has_digest, "key": entry.key})

    def complete(self) -> None:
        """Note that nothing is left, so that the next check begins anew.

        Raises:
            StorageError: It cannot be written.
        """
        self._write({"complete": True})

    def _write(self, document: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(document).encode() + b"\n")
            self._file.flush()
        except OSError as exc:
            raise self._failed(exc) from exc

    def _failed(self, exc: OSError) -> StorageError:
        return StorageError(
            f"verify: the journal {self._path} cannot be used: {exc.strerror or exc}",
            str(self._path),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(OSError):  # each line was flushed, and the disk may be full
            self._file.close()


def _mark(entry: Entry) -> bytes:
    """Return what changes if a file is written again, as far as a listing tells."""
    told = f"{entry.key}\0{entry.version}\0{entry.size}\0{entry.modified.timestamp()}"
    return xxhash.xxh3_128_digest(told.encode(errors="surrogatepass"))
