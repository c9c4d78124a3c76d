"""The input and config of a run, as a stage sees them, and which keys of them it has read."""

import pickle
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import xxhash

from runstore.errors import MissingInputError
from runstore.faults import is_own_fault
from runstore.secret_names import without_secrets

__all__ = ["EVERY_KEY", "RunParameters", "parameter_digest", "pickle_digest"]

EVERY_KEY = "*"
"""Stands for all keys, where code has gone through them."""


class RunParameters(dict[str, Any]):
    """The input or config of a run: a dict whose KeyError says how to pass a missing key.

    In a stage it tells which keys are read. Code that goes through them, counts or copies them
    reads all.
    """

    _told: Callable[[str], None] | None = None
    _field: str | None = None  # "input" or "config"
    _in_test: bool = False

    def named(self, field: str, *, in_test: bool = False) -> "RunParameters":
        """Let errors name the field that this is; return this dict.

        Args:
            field: ``input`` or ``config``.
            in_test: Whether it is of the run of a test, whose mark gives it.
        """
        self._field, self._in_test = field, in_test
        return self

    def telling(self, told: Callable[[str], None]) -> "RunParameters":
        """Let *told* be called with each key that is read from now on; return this dict."""
        self._told = told
        return self

    def _read(self, key: object = EVERY_KEY) -> None:
        if self._told is not None:
            self._told(key if isinstance(key, str) else EVERY_KEY)

    def __getattr__(self, name: str) -> Any:
        told = f"{type(self).__name__!r} object has no attribute {name!r}"
        if dict.__contains__(self, name):
            told += f": it is a dict, write [{name!r}]"
        raise AttributeError(told, name=name, obj=self)

    def __missing__(self, key: str) -> Any:
        known = ", ".join(map(repr, dict.__iter__(self))) or "nothing"
        if self._field is None:  # of a context that an earlier version has pickled
            told = f"this run was given no {key!r} (it has {known})"
        else:
            told = f"this run was given no {key!r} in its {self._field} (which has {known})"
        raise MissingInputError(
            f"{told}: {self._way_in(key)}, or read it with .get() and a default", key
        )

    def _way_in(self, key: object) -> str:
        given = f"{{{key!r}: …}}"
        if self._in_test:
            return f"mark the test with @pytest.mark.runstore({self._field}={given})"
        of_input = f"--input {key}=… or run_workflow(input={given})"
        of_config = (
            f"--config FILE or run_workflow(config={given}); a config with a selector counts if "
            "that selects the workflow"
        )
        if self._field is None:
            return f"pass what is read from .input with {of_input}, from .config with {of_config}"
        return f"pass it with {of_input if self._field == 'input' else of_config}"

    def __getitem__(self, key: str) -> Any:
        self._read(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, or *default*."""
        self._read(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._read(key)
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._read()
        return super().__iter__()

    def __len__(self) -> int:
        self._read()
        return super().__len__()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __eq__(self, other: object) -> bool:
        self._read()
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self) -> str:
        self._read()
        return repr(without_secrets(self))  # it is what people log

    def keys(self) -> Any:
        """Return the keys."""
        self._read()
        return super().keys()

    def values(self) -> Any:
        """Return the values."""
        self._read()
        return super().values()

    def items(self) -> Any:
        """Return keys and values."""
        self._read()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """Return a plain dict of the same values."""
        self._read()
        return dict(super().items())

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key and return its value."""
        self._read(key)
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*; set it to *default* before if there is none."""
        self._read(key)
        return super().setdefault(key, default)

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key, and return it with its value."""
        self._read()
        return super().popitem()

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __reversed__(self) -> Iterator[str]:
        self._read()
        return super().__reversed__()

    def __reduce__(self) -> tuple[Any, ...]:
        # Where it goes nobody tells what is read.
        if self._field is None:
            return RunParameters, (self.copy(),)
        return RunParameters, (self.copy(),), {"_field": self._field, "_in_test": self._in_test}


def parameter_digest(values: Mapping[str, Any], key: str) -> str:
    """Return a digest of the value of a key, or of all keys: equal for values that are equal."""
    if key == EVERY_KEY:
        parts = sorted((name, _form(value)) for name, value in dict.items(dict(values)))
        return _digest(parts)
    return _digest(_form(values[key])) if key in values else "absent"


class _Hashed:
    """A file that keeps a digest of what is written to it."""

    def __init__(self) -> None:
        self.state = xxhash.xxh3_128()

    def write(self, data: Any) -> int:
        self.state.update(data)
        return len(data)


def pickle_digest(value: Any) -> str:
    """Return a digest of a value's pickle, whose large data is not copied.

    Raises:
        Exception: Whatever the pickling of a user's value raises.
    """
    file = _Hashed()

    def hashed(buffer: pickle.PickleBuffer) -> None:
        file.state.update(buffer.raw())

    pickle.Pickler(file, 5, buffer_callback=hashed).dump(value)
    return file.state.hexdigest()


def _digest(form: object) -> str:
    return xxhash.xxh3_64_hexdigest(repr(form).encode(errors="backslashreplace"))


def _form(value: Any) -> str:
    """Return a text that is the same for equal values of the same types."""
    kind = type(value)
    if kind in (type(None), bool, int, float, str, bytes):
        return f"{kind.__name__} {value!r}"
    if kind in (list, tuple):  # alike, as in a record
        return f"list [{', '.join(map(_form, value))}]"
    if kind is dict:
        return f"dict [{', '.join(f'{_form(key)}: {_form(one)}' for key, one in value.items())}]"
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        return f"{name} {pickle_digest(value)}"
    except Exception as exc:  # the pickling of a user's value is the user's code
        if is_own_fault(exc):
            raise
        return f"{name} {uuid.uuid4()}"  # nobody can say that it is the same
