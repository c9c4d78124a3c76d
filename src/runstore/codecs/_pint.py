"""Quantities and units of pint's application registry: a magnitude, and exponents by unit.

Units belong to a registry, and pint's pickles come back in the application registry. Those of any
other one would be different, and are not kept here.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from runstore.codecs._base import type_name
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = ["KINDS", "quantity_of", "quantity_parts"]

KINDS = ("pint.Quantity", "pint.Unit")

_NAME = re.compile(r"[^\W\d]\w{0,99}")  # what pint takes for one name, and not for an expression
_MOST = 64  # units of a quantity
_MAGNITUDES = (int, float, complex, Decimal, Fraction)


def quantity_parts(value: Any) -> tuple[str, Any] | None:
    """Return tag and parts of a quantity or unit; None if it would come back different."""
    import pint

    registry: Any = pint.get_application_registry()
    kind = type_name(type(value)).rpartition(".")[2]
    if type(value) is not getattr(registry, kind) or set(vars(value)) - {"_magnitude", "_units"}:
        return None
    units = dict(value._units)
    parts = [kind, list(units), list(units.values()), *([value.m] if kind == "Quantity" else [])]
    try:
        back = quantity_of(parts, "the value")
    except (CorruptObjectError, UnsupportedValueError):
        return None
    kept = _kinds(back._units) == _kinds(value._units) and back._units == value._units
    same = kept and (kind == "Unit" or back.m is value.m)
    return ("$pint", parts) if same else None


def quantity_of(parts: Any, ref: str) -> Any:
    """Rebuild what `quantity_parts` was given.

    Raises:
        CorruptObjectError: The parts are of no quantity.
        UnsupportedValueError: The application registry has no such unit.
    """
    import pint

    kind, names, exponents, *magnitude = parts if parts else [None] * 3
    if kind not in ("Quantity", "Unit") or len(magnitude) != (kind == "Quantity"):
        raise _damaged(ref)
    if type(names) is not list or type(exponents) is not list or len(names) > _MOST:
        raise _damaged(ref)
    if len(names) != len(exponents) or not set(map(type, names)) <= {str}:
        raise _damaged(ref)
    if len(set(names)) != len(names):
        raise _damaged(ref)
    registry: Any = pint.get_application_registry()
    for name, exponent in zip(names, exponents, strict=True):
        if _NAME.fullmatch(name) is None or type(exponent) not in (int, float, Fraction):
            raise _damaged(ref)
        if type(exponent) is float and not math.isfinite(exponent):
            raise _damaged(ref)
        try:
            known = dict(registry.parse_units(name)._units)
        except pint.UndefinedUnitError as exc:
            raise UnsupportedValueError(
                f"cannot load {ref}: pint's application registry has no unit {name!r} here. Call "
                "pint.set_application_registry with the registry that defines it",
                ref,
            ) from exc
        except (pint.PintError, AttributeError, ValueError, TypeError, KeyError) as exc:
            raise _damaged(ref) from exc
        if known != {name: 1}:
            raise _damaged(ref)
    units = pint.util.UnitsContainer(dict(zip(names, exponents, strict=True)))
    if _kinds(units) != dict(zip(names, map(type, exponents), strict=True)):
        raise _damaged(ref)  # pint takes a float for what this registry does not count in
    if kind == "Unit":
        return registry.Unit(units)
    if not _is_magnitude(magnitude[0]):
        raise _damaged(ref)  # text would be taken for an expression
    return registry.Quantity(magnitude[0], units)


def _kinds(units: Any) -> dict[str, type]:
    """Return the types of the exponents: a half and 0.5 are equal."""
    return {name: type(exponent) for name, exponent in units.items()}


def _is_magnitude(value: Any) -> bool:
    if type(value) is np.ndarray:
        return value.dtype.kind in "biufcO"
    if isinstance(value, np.generic):
        return value.dtype.kind in "biufc"
    return type(value) in _MAGNITUDES


def _damaged(ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: no quantity of pint", ref)
