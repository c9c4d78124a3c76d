"""Pickle, visible and lockable: every use of it in runstore goes through here.

Protocol 5 with out-of-band buffers: large arrays inside an object become blobs
of the container, each aligned, and are mapped instead of copied when it is read.
Classes and functions of ``__main__`` go by value (cloudpickle), so that what a
notebook stored can be read elsewhere.
"""

import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runstore.buffers import Buffer, flat
from runstore.codecs._base import Encoded, Opened, type_name
from runstore.codecs._cells import BLOB, blob_batch, blob_in, encoded_cell
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    RunStoreError,
    RunStoreWarning,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.faults import is_own_fault
from runstore.versions import wrote_and_here

__all__ = ["LIGHT", "PickleCodec", "PickleWarning", "Pickling"]

LIGHT = 1 << 16
"""Bytes of columns that are no danger as objects: those may take what a file of any size may."""

_OUT_OF_BAND_FROM = 4096  # bytes; smaller buffers cost more as a blob than as a copy


class PickleWarning(RunStoreWarning):
    """A value was pickled, or unpickled, under the policy ``warn``."""


class Pickling:
    """The pickle policy, applied to one object.

    Args:
        policy: ``allow``, ``warn``, ``deny`` or ``signed``.
        ref: The object, for messages.
        signed: Whether the object is being signed, or its signature has been checked;
            under the policy ``signed`` no pickle is written or loaded otherwise.
        versions: What the object was written with, for messages.
        check_decoded: Called by what decompresses with the bytes that takes and those stored, and
            with ``objects=True`` if they are objects of Python; raises if that is too much.
        is_intact: Returns whether a digest shows that the object's bytes are those that were
            written, and raises CorruptObjectError if it shows that they are not. Only called
            if something cannot be unpickled.
        taken: Bytes of memory that the object takes already, besides what is mapped.
        explains: Whether a refusal names the part that only a pickle could keep.
    """

    def __init__(
        self,
        policy: PicklePolicy,
        ref: str,
        *,
        signed: bool = False,
        versions: dict[str, str] | None = None,
        check_decoded: "Callable[..., None] | None" = None,
        is_intact: Callable[[], bool] | None = None,
        explains: bool = True,
        taken: int = 0,
    ) -> None:
        self._explains = explains
        self._check_decoded = check_decoded
        self._is_intact = is_intact
        self._policy = policy
        self._ref = ref
        self._signed = signed
        self._versions = versions or {}
        self.is_decoded = taken > 0
        """Whether the object was decompressed, or has items that take no room in its file."""
        self._spent = taken
        self._part = ""  # what a call of get needs more to give the pickle itself
        self.used = False
        """Whether anything was pickled."""
        self.packages: dict[str, str] = {}
        """What was pickled needs these to be loaded: name to version."""

    def dumps(self, value: Any, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
        """Pickle *value*; its large buffers are added to *buffers* if that is given.

        Raises:
            UnsafePickleError: The policy forbids it.
            UnsupportedValueError: The value cannot be pickled.
        """
        self._ask("can only be stored as a pickle", value)
        from runstore.codecs._parts import unpicklable, where
        from runstore.codecs._pickler import HandleError, dump
        from runstore.codecs._trial import check_loads

        def aside(buffer: pickle.PickleBuffer) -> bool:
            if buffers is None or buffer.raw().nbytes < _OUT_OF_BAND_FROM:
                return True  # stays in the stream
            buffers.append(buffer)
            return False

        named = f"a {type_name(type(value))}"
        try:
            stream, kinds, commands = dump(value, aside)
        except (MemoryError, UnsupportedValueError):
            raise
        except HandleError as exc:
            part = type_name(type(exc.value))
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {where(value, exc.value)}a {part}: {exc.reason}",
                self._ref,
            ) from exc
        except Exception as exc:  # what the value's own __reduce__ and __getstate__ raise
            if is_own_fault(exc):
                raise
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {named} cannot be pickled ({_told(exc)}"
                f"{unpicklable(value)}). Store what it is made of instead",
                self._ref,
            ) from exc
        failed = None if commands else check_loads(value, stream, buffers or (), kinds)
        if failed is not None:
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {named} can be pickled, but what is pickled cannot be "
                f"loaded again ({failed}). Store what it is made of instead",
                self._ref,
            )
        self.used = True
        self.packages |= _packages(stream)
        return stream

    def loads(self, stream: Buffer, buffers: Iterable[Buffer] | None = None) -> Any:
        """Unpickle what `dumps` gave.

        Raises:
            UnsafePickleError: The policy forbids it; nothing was executed.
            UnsupportedValueError: A class or module that the object needs is missing here, or
                raises something while the object is rebuilt.
            CorruptObjectError: Its bytes are not those that were written, or it has no digest
                and is not a pickle.
        """
        self._ask("is stored as a pickle, and loading it can execute code")
        from runstore.codecs._unpickler import loads as unpickled

        try:
            return unpickled(stream, buffers)
        except MemoryError:
            raise
        except Exception as exc:  # what the classes of the value raise
            if is_own_fault(exc):
                raise
            raise self._not_loaded(exc, _named(stream)) from exc

    def _not_loaded(self, exc: Exception, named: list[str]) -> RunStoreError:
        """Return what is said of an error in unpickling: damage, or the classes raised it."""
        of_pickle = isinstance(exc, (pickle.UnpicklingError, EOFError, IndexError))
        intact = False
        if self._is_intact is not None and (of_pickle or not _is_of_a_class(exc)):
            try:
                intact = self._is_intact()
            except CorruptObjectError as damage:
                return damage
        stored = f"It was stored with {wrote_and_here(self._versions, named)}"
        if isinstance(exc, (ImportError, AttributeError)):
            return UnsupportedValueError(
                f"cannot load {self._ref}: it needs something that is not importable here "
                f"({exc}). {stored}: install or import the package that defines it. "
                f"get(name, {self._part}as_type=bytes) gives the pickle itself",
                self._ref,
            )
        if of_pickle and not intact:
            return CorruptObjectError(f"{self._ref} holds a damaged pickle: {exc}", self._ref)
        return UnsupportedValueError(
            f"cannot load {self._ref}: the pickled classes raised {_told(exc)} while it was "
            f"rebuilt. {stored}. get(name, {self._part}as_type=bytes) gives the pickle itself",
            self._ref,
        )

    def class_named(self, module: str, qualname: str) -> type:
        """Return the class that the object names, for a member or a tuple of it.

        Its module is imported only where a pickle could be loaded, which would import it, too.

        Raises:
            UnsafePickleError: The module is not imported, and the policy forbids to import it.
            UnsupportedValueError: There is no such class here.
        """
        from runstore.codecs._classes import class_named

        return class_named(module, qualname, self._ref, self._ask_import)

    def _ask_import(self, what: str) -> None:
        if self._policy == "deny" or (self._policy == "signed" and not self._signed):
            raise UnsafePickleError(
                f"{self._ref} {what}; importing it would execute its code, and the policy is "
                f"pickle={self._policy!r}. Import it first, then get the object again",
                self._ref,
            )
        self._ask(f"{what}; importing it executes its code")

    @property
    def is_careful(self) -> bool:
        """Whether the store's readers do not trust the writer; see `runstore.containers.Guard`."""
        return self._policy == "deny" or (self._policy == "signed" and not self._signed)

    def check_decoded(self, decoded: int, stored: int) -> None:
        """Raise UnsupportedFormatError if so many bytes in memory are too much for a file."""
        if self._check_decoded is not None:
            self._check_decoded(decoded, stored)

    def has_to_weigh(self, stored: int) -> bool:
        """Return whether objects of a file of this size may take more than any file may."""
        return self._spent + stored > LIGHT

    def spend(self, nbytes: int, stored: int) -> None:
        """Note that so many bytes more are about to be taken for objects of Python.

        Raises:
            UnsupportedFormatError: With those before, that is too much for a file of this size.
        """
        self._spent += nbytes
        if self._check_decoded is not None:
            self._check_decoded(self._spent, stored, objects=True)

    @contextmanager
    def at_column(self, label: object) -> Iterator[None]:
        """Name a column of the object in the messages of the block."""
        whole, self._ref = self._ref, f"{self._ref} (column {label!r})"
        self._part = f"columns=[{label!r}], "
        try:
            yield
        finally:
            self._ref, self._part = whole, ""

    def _ask(self, what: str, *value: Any) -> None:
        if self._policy == "allow" or (self._policy == "signed" and self._signed):
            return
        kind = f" (a {type(value[0]).__module__}.{type(value[0]).__qualname__})" if value else ""
        message = f"{self._ref}{kind} {what}"
        if value and self._policy != "warn" and self._explains:
            from runstore.codecs._why_pickled import why_pickled

            reason = why_pickled(value[0])
            message += f", because {reason}" if reason else ""
        if self._policy == "deny":
            raise UnsafePickleError(
                f"{message}; the store's policy is pickle='deny'. Store a table, array, text or "
                "plain dict, or open the store with pickle='allow'",
                self._ref,
            )
        if self._policy != "warn":
            raise UnsafePickleError(
                f"{message}; the policy is pickle='signed', and this is not covered by a signature "
                "(a .pkl file has no room for one). Store it again without the extension, in a "
                "store with pickle='signed'",
                self._ref,
            )
        warnings.warn(PickleWarning(message), stacklevel=2)


# How a pickle names the module of a class or function where it first occurs.
_MODULE = re.compile(rb"\x8c.([A-Za-z_][\w.]*)\x94", re.DOTALL)
_LOOKED_THROUGH = 1 << 20  # bytes; data follows the first of each class


def _packages(stream: bytes) -> dict[str, str]:
    """Return the versions of the packages that a pickle names; text of such a name counts."""
    found = {}
    for name in _named(stream):
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            found[name] = version
    return found


def _named(stream: Buffer) -> list[str]:
    """Return the packages that a pickle names, but for Python's own."""
    looked = flat(stream)[:_LOOKED_THROUGH]
    named = {match[1].partition(b".")[0].decode() for match in _MODULE.finditer(looked)}
    return sorted(named - sys.stdlib_module_names)


def _is_of_a_class(exc: Exception) -> bool:
    """Return whether code in Python raised it, not the interpreter's own unpickler.

    That code may have changed the memory that the object was read to, which would then fit no
    digest.
    """
    traceback = exc.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    ours = (__name__, "runstore.codecs._unpickler", "runstore.by_value")
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__") not in ours


def _told(exc: Exception) -> str:
    """Return what an error of a user's class says, with its type if it is not pickle's own."""
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001 - the class is the user's, and so is its __str__
        message = ""
    if isinstance(exc, (pickle.PicklingError, TypeError, AttributeError)) and message:
        return message
    return f"{type(exc).__name__}: {message}" if message else type(exc).__name__


class PickleCodec:
    """Any picklable object: the stream is the first blob, its large buffers are the others."""

    name = "pickle"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded:
        """See `runstore.codecs.Codec.encode`."""
        buffers: list[pickle.PickleBuffer] = []
        stream = pickling.dumps(value, buffers)
        if not buffers:
            return encoded_cell("data", stream)
        blobs: list[Buffer] = [stream, *(buffer.raw() for buffer in buffers)]
        return Encoded(
            BLOB,
            [blob_batch(blob) for blob in blobs],
            nbytes=sum(flat(blob).nbytes for blob in blobs),
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        if opened.cell is not None:
            return pickling.loads(opened.cell)
        stream, *buffers = (blob_in(opened, i) for i in range(opened.num_batches))
        return pickling.loads(stream, buffers)
