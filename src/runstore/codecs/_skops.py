"""``.skops``: scikit-learn models without pickle, of types that are known to be harmless."""

import io
import math
import zipfile
import zlib
from tokenize import TokenError
from typing import Any

import numpy as np
import sklearn.base
import skops.io

from runstore.buffers import Buffer, flat
from runstore.codecs._base import type_name
from runstore.codecs._pickle import Pickling
from runstore.errors import CorruptObjectError, UnsafePickleError, UnsupportedValueError

__all__ = ["SkopsFile"]


class SkopsFile:
    """A scikit-learn estimator whose parts skops trusts.

    What skops does not know, functions and classes of the user, would be called when
    it is read: it is refused, at put and at get, under every pickle policy.
    """

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        if not isinstance(value, sklearn.base.BaseEstimator):
            raise UnsupportedValueError(
                f"cannot store {ref}: a .skops holds a scikit-learn estimator, not a "
                f"{type_name(type(value))}. Store it under a name without .skops",
                ref,
            )
        try:
            data: bytes = skops.io.dumps(value)
        except (NotImplementedError, TypeError, ValueError, RecursionError) as exc:
            raise UnsupportedValueError(
                f"cannot store {ref}: skops cannot write this {type_name(type(value))} ({exc}). "
                "Store it under a name without .skops, as a pickle",
                ref,
            ) from exc
        if unknown := skops.io.get_untrusted_types(data=data):
            raise UnsupportedValueError(
                f"cannot store {ref}: reading the .skops would run code of "
                f"{', '.join(sorted(unknown))}. Store it under a name without .skops, as a pickle",
                ref,
            )
        if not _same(value, skops.io.loads(data)):
            raise UnsupportedValueError(
                f"cannot store {ref}: this {type_name(type(value))} comes back different from a "
                ".skops. Store it under a name without .skops, as a pickle",
                ref,
            )
        return [data]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """See `runstore.codecs.FileCodec.decode`."""
        content = bytes(flat(data))
        try:
            _check_members(content, len(content), pickling)
            if unknown := skops.io.get_untrusted_types(data=content):
                raise UnsafePickleError(
                    f"{ref} holds {', '.join(sorted(unknown))}: reading it could execute code, and "
                    "nothing of it was. If you trust the file, read it with skops.io.load(path, "
                    "trusted=[…])",
                    ref,
                )
            return skops.io.loads(content)
        except _NO_ARCHIVE as exc:
            raise CorruptObjectError(f"{ref} is not a whole .skops file: {exc}", ref) from exc


_NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RecursionError)


def _check_members(archive: bytes, stored: int, pickling: Pickling) -> None:
    """Check what the members of an archive take in memory, before any is read whole.

    A member is never longer than it says; an array may say that it is. Sparse arrays are
    archives themselves.

    Raises:
        UnsupportedFormatError: It is too much for the size of the file.
        zipfile.BadZipFile: A member is no array although its name says so.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        pickling.check_decoded(sum(member.file_size for member in file.infolist()), stored)
        for member in file.infolist():
            if member.filename.endswith(".npy"):
                with file.open(member) as opened:
                    _check_array(opened, member)
            elif member.filename.endswith(".npz"):
                _check_members(file.read(member), stored, pickling)


def _check_array(opened: Any, member: zipfile.ZipInfo) -> None:
    try:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0
        shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
            opened
        )
    except (ValueError, SyntaxError, TokenError) as exc:
        raise zipfile.BadZipFile(f"{member.filename} is no array: {exc}") from exc
    if dtype.hasobject or min(shape, default=0) < 0:
        raise zipfile.BadZipFile(f"{member.filename} holds Python objects")
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise zipfile.BadZipFile(f"{member.filename} is shorter than the array it says it is")


def _same(one: Any, other: Any) -> bool:
    """Return whether two models have the same parts, of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, np.generic)):
        alike = one.dtype == other.dtype and one.shape == other.shape
        if one.dtype.hasobject:
            return bool(alike) and _same(one.tolist(), other.tolist())
        alike = alike and one.flags.fnc == other.flags.fnc
        return bool(alike and one.tobytes() == other.tobytes())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return _same(list(one), list(other)) and _same(list(one.values()), list(other.values()))
    if isinstance(one, (str, bytes, int, float, complex, set, frozenset)):
        return bool(one == other or (one != one and other != other))
    if state := getattr(one, "__dict__", None):
        return _same(state, vars(other))
    return True
