"""Dataclasses, pydantic models and attrs classes that their author wants kept by their fields."""

import dataclasses
from types import MemberDescriptorType
from typing import Any, TypeVar

from runstore.codecs._base import is_a, type_name
from runstore.codecs._classes import Finder, named
from runstore.codecs._exactly import all_exactly, exactly
from runstore.errors import CorruptObjectError, InvalidRequestError, UnsupportedValueError

__all__ = ["by_fields", "field_names", "fields_of", "is_by_fields", "made_of_fields"]

Kind = TypeVar("Kind", bound=type)

_MARK = "__runstore_by_fields__"
_MODEL = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def by_fields(kind: Kind) -> Kind:
    """Keep instances of a dataclass, pydantic model or attrs class by their fields, without pickle.

        @by_fields
        @dataclass
        class Settings:
            rate: float
            day: date

    An instance is stored as the name of its class and its fields, each as it would be kept by
    itself, under every policy. It comes back with the same fields without a call of ``__init__``,
    ``__post_init__`` or a validator, so loading executes no code. Its class has to be at the top of
    a module, or in a class there, and under the policy ``deny`` the module has to be imported.
    Instances with more than their fields are left to pickle. Subclasses ask for themselves.

    Args:
        kind: The class.

    Returns:
        The same class.

    Raises:
        InvalidRequestError: It is neither of the three.
    """
    if not isinstance(kind, type) or not (
        dataclasses.is_dataclass(kind) or _is_model(kind) or _is_attrs(kind)
    ):
        told = type_name(kind if isinstance(kind, type) else type(kind))
        raise InvalidRequestError(
            f"by_fields takes a dataclass, pydantic model or attrs class, not {told}: write it "
            "above @dataclass or @define"
        )
    setattr(kind, _MARK, True)
    return kind


def is_by_fields(kind: type) -> bool:
    """Return whether `by_fields` was called with a class itself."""
    return _MARK in vars(kind)


def fields_of(value: Any) -> tuple[str, Any] | None:
    """Return tag and parts of an instance; None if it has more than its fields."""
    kind = type(value)
    told = named(kind)
    try:
        object.__new__(kind)
    except TypeError:  # it is a list, an exception, … as well
        return None
    state: dict[str, Any] = dict(getattr(value, "__dict__", {}))
    more: list[Any] = []
    if _is_model(kind):
        more = [getattr(value, name) for name in _MODEL]
        more[0] = sorted(more[0])
    else:
        slots = [
            name for name in field_names(kind) if _is_slot(kind, name) and hasattr(value, name)
        ]
        state |= {name: getattr(value, name) for name in slots}
    if told is None or not state.keys() <= set(field_names(kind)):
        return None
    return "$fields", [told, field_names(kind), state, more]


def made_of_fields(parts: Any, ref: str, find: Finder) -> Any:
    """Rebuild what `fields_of` was given; no code of the class is called.

    Raises:
        UnsupportedValueError: The class has other fields here, or is not kept by them.
        CorruptObjectError: It has no such fields.
    """
    (module, qualname), fields, state, more = parts
    all_exactly(fields, ref, str)
    exactly(more, ref, list)
    kind = find(module, qualname)
    told = f"cannot load {ref}: {module}.{qualname}"
    if not is_by_fields(kind):
        raise UnsupportedValueError(
            f"{told} is not marked with runstore.codecs.by_fields here, as it was when stored", ref
        )
    if field_names(kind) != fields:
        raise UnsupportedValueError(
            f"{told} has the fields {', '.join(field_names(kind))} here, and was stored with "
            f"{', '.join(fields)}. Install the version that it was stored with",
            ref,
        )
    if type(state) is not dict or not state.keys() <= set(fields) or len(more) not in (0, 3):
        raise CorruptObjectError(f"{ref} is damaged: {qualname} has no such fields", ref)
    if more:
        all_exactly(more[0], ref, str)
    value: Any = object.__new__(kind)
    for name, item in state.items():
        if _is_slot(kind, name):
            object.__setattr__(value, name, item)
        else:
            value.__dict__[name] = item
    if _is_slot(kind, _HASH):  # which attrs looks at, and finds again
        object.__setattr__(value, _HASH, None)
    if _is_model(kind):
        for name, item in zip(_MODEL, [set(more[0]), *more[1:]], strict=True):
            object.__setattr__(value, name, item)
    return value


def _is_model(kind: type) -> bool:
    return is_a(kind, "pydantic.main.BaseModel")


_HASH = "_attrs_cached_hash"


def _is_attrs(kind: type) -> bool:
    return "__attrs_attrs__" in vars(kind)


def field_names(kind: Any) -> list[str]:
    """Return the names of the fields of a class, in their order."""
    if _is_attrs(kind):
        return [field.name for field in kind.__attrs_attrs__]
    if _is_model(kind):
        return list(kind.model_fields)
    return [field.name for field in dataclasses.fields(kind)]


def _is_slot(kind: type, name: str) -> bool:
    found = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    return type(found) is MemberDescriptorType
