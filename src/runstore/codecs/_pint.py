"""Quantities and units of pint's application registry: a magnitude, and exponents by unit.

Units belong to a registry, and pint's pickles come back in the application registry. Those of any
other one would be different, and are not kept here.
"""

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
_MAGNITUDES = (int, float, complex, Decimal, Fraction, np.ndarray)


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
    same = back._units == value._units and (kind == "Unit" or back.m is value.m)
    return ("$pint", parts) if same else None


def quantity_of(parts: Any, ref: str) -> Any:
    """Rebuild what `quantity_parts` was given.

    Raises:
        CorruptObjectError: The parts are of no quantity.
        UnsupportedValueError: The application registry has no such unit.
    """
    import pint

    kind, names, exponents, *magnitude = parts
    if kind not in ("Quantity", "Unit") or len(magnitude) != (kind == "Quantity"):
        raise _damaged(ref)
    if type(names) is not list or type(exponents) is not list or len(names) > _MOST:
        raise _damaged(ref)
    if len(names) != len(exponents) or len(set(map(type, names)) - {str}):
        raise _damaged(ref)
    registry: Any = pint.get_application_registry()
    for name, exponent in zip(names, exponents, strict=True):
        if _NAME.fullmatch(name) is None or type(exponent) not in (int, float, Fraction):
            raise _damaged(ref)
        try:
            known = dict(registry.parse_units(name)._units)
        except pint.UndefinedUnitError as exc:
            raise UnsupportedValueError(
                f"cannot load {ref}: pint's application registry has no unit {name!r} here. Call "
                "pint.set_application_registry with the registry that defines it",
                ref,
            ) from exc
        except (pint.PintError, ValueError, TypeError, KeyError) as exc:
            raise _damaged(ref) from exc
        if known != {name: 1}:
            raise _damaged(ref)
    units = pint.util.UnitsContainer(dict(zip(names, exponents, strict=True)))
    if kind == "Unit":
        return registry.Unit(units)
    if type(magnitude[0]) not in _MAGNITUDES and not isinstance(magnitude[0], np.generic):
        raise _damaged(ref)  # text would be taken for an expression
    return registry.Quantity(magnitude[0], units)


def _damaged(ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: no quantity of pint", ref)
