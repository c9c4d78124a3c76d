"""What a filesystem does when it is tried: for protocols that no table tells of."""

import secrets
from contextlib import suppress
from dataclasses import replace

from fsspec.spec import AbstractFileSystem

from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import Dialect
from runstore.places._fsspec._failures import says_no
from runstore.places._guarantees import AtomicPut, Guarantees

__all__ = ["probe"]


def probe(calls: Calls, dialect: Dialect, folder: str) -> Guarantees:
    """Try what the dialect does not know, with two small files in a hidden folder.

    A filesystem whose ``mv`` is fsspec's own copies and deletes: a reader would see half of an
    object. One with an ``mv`` of its own is taken to rename, if that replaces what is there.
    Whether creating is exclusive is tried by creating what exists.

    Args:
        calls: The filesystem.
        dialect: What is known of it.
        folder: The path of the hidden folder, made if it is not there.

    Raises:
        Exception: Whatever the filesystem raises for other reasons than that it cannot.
    """
    known = dialect.guarantees
    if known.atomic_put is not None and known.create is not None:
        return known
    old, new = (f"{folder}/probe-{secrets.token_hex(8)}" for _ in range(2))
    try:
        calls("makedirs", folder, exist_ok=True)
        for path, content in ((old, b"old"), (new, b"new")):
            with calls.fs.open(path, "wb") as file:
                file.write(content)
        if known.create is None:
            known = replace(known, create=_creates(calls, dialect, new, old))
        if known.atomic_put is None:
            known = replace(known, atomic_put=_replaces(calls, dialect, new, old))
    finally:
        for path in (old, new):
            with suppress(Exception):  # a leftover is hidden and tiny
                calls.remove(path)
    return known


def _creates(calls: Calls, dialect: Dialect, new: str, old: str) -> bool:
    """Return whether *new* cannot be put at *old*, but where nothing is."""
    assert dialect.link is not None
    try:
        dialect.link(calls, new, old)
    except FileExistsError:
        free = f"{old}-2"
        try:
            dialect.link(calls, new, free)
        except Exception as exc:  # whatever it says, it cannot
            if not says_no(exc):
                raise
            return False
        calls.remove(free)
        return True
    except Exception as exc:  # likewise
        if not says_no(exc):
            raise
        return False
    return False


def _replaces(calls: Calls, dialect: Dialect, new: str, old: str) -> AtomicPut:
    kind = type(calls.fs)
    if kind.mv is AbstractFileSystem.mv:
        return "no"
    try:
        dialect.rename(calls, new, old)
        calls.forget()
        return "rename" if calls("cat_file", old) == b"new" else "no"
    except Exception as exc:  # whatever it says, it cannot
        if not says_no(exc):
            raise
        return "no"
