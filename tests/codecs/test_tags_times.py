"""Quantities of pint and times of pendulum, without pickle: exact, and strictly checked."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.codecs.test_tags import forged

from runstore import ObjectStore
from runstore.errors import CorruptObjectError, UnsafePickleError, UnsupportedValueError


@pytest.fixture
def strict(tmp_path: Any) -> Any:
    """Give a view whose store takes no pickle."""
    return ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")


# pint --------------------------------------------------------------------------------------------

_QUANTITIES: dict[str, Callable[[Any], Any]] = {
    "floats": lambda of: [of.Quantity(1.5, "km / s ** 2"), of.Quantity(float("inf"), "degC")],
    "numbers": lambda of: [of.Quantity(n, "kg") for n in (7, Decimal("0.10"), Fraction(1, 3), 1j)],
    "arrays": lambda of: {"a": of.Quantity(np.arange(3, dtype="f4"), "kilometer")},
    "NumPy scalars": lambda of: (of.Quantity(np.float32(0.1), "meter"), of.Quantity(np.int8(1))),
    "units": lambda of: [of.Unit("km"), of.Unit("m ** 0.5"), of.Unit(""), of.Unit("delta_degC")],
}


@pytest.mark.parametrize("name", _QUANTITIES)
def test_quantities(strict: Any, name: str) -> None:
    """Magnitude, its type, units and exponents come back, in the application registry."""
    of = pytest.importorskip("pint").get_application_registry()
    value = _QUANTITIES[name](of)
    assert not strict.put("x", value).pickled
    back = strict.get("x")
    assert repr(value) == repr(back)
    parts = [list(v.values() if isinstance(v, dict) else v) for v in (value, back)]
    for one, other in zip(*parts, strict=True):
        assert type(one) is type(other)
        assert getattr(one, "units", one) == getattr(other, "units", other)
        if hasattr(one, "m"):
            assert type(one.m) is type(other.m)
            assert np.all(one == other)


def test_quantities_of_another_registry_are_pickled(strict: Any) -> None:
    """Pickle brings them back in the application registry: such a change is the user's choice."""
    pint = pytest.importorskip("pint")
    with pytest.raises(UnsafePickleError):
        strict.put("x", pint.UnitRegistry().Quantity(1, "m"))


def test_a_unit_that_is_not_known_here(strict: Any) -> None:
    """The message names it, and how to make it known."""
    pint = pytest.importorskip("pint")
    pint.get_application_registry().define("smoot = 1.7018 * meter")
    strict.put("x", pint.get_application_registry().Quantity(2, "smoot"))
    pint.set_application_registry(pint.UnitRegistry())
    with pytest.raises(UnsupportedValueError, match=r"no unit 'smoot'.*set_application_registry"):
        strict.get("x")


@pytest.mark.parametrize(
    "content",
    [
        ["Quantity", ["meter"], [1], "2 ** 10 ** 10"],
        ["Quantity", ["meter"], [1], [1, 2]],
        ["Quantity", ["meter"], [1]],
        ["Quantity", ["2 ** 10 ** 10"], [1], 1],
        ["Quantity", ["m"], [1], 1],
        ["Quantity", ["meter ** 2"], [1], 1],
        ["Quantity", ["meter"], ["1"], 1],
        ["Quantity", ["meter", "second"], [1], 1],
        ["Quantity", ["meter"] * 100, [1] * 100, 1],
        ["Quantity", [1], [1], 1],
        ["Unit", "meter", [1]],
        ["Unit", ["meter"], [1], 1],
        ["UnitRegistry", [], []],
        [],
        ["Unit", ["meter", "meter"], [1, 2]],
        ["Unit", [["meter"]], [1]],
        ["Unit", ["meter"], [float("nan")]],
        ["Unit", ["meter"], [float("inf")]],
        ["Unit", ["meter"], [{"$fraction": [1, 2]}]],
        ["Quantity", ["meter"], [1], {"$numpy": ["<U1", "MQAAAA=="]}],
        ["Quantity", ["meter"], [1], {"$numpy": ["<M8[s]", "AQEBAQEBAQE="]}],
        ["Quantity", ["meter"], [1], {"$range": [0, 1 << 60, 1]}],
        {"$range": [0, 1 << 60, 1]},
    ],
    ids=str,
)
def test_forged_quantities_are_refused(strict: Any, content: Any) -> None:
    """No text of a file is evaluated, not even as an expression of units."""
    pytest.importorskip("pint")
    forged(strict, {"$pint": content})
    with pytest.raises(CorruptObjectError, match="dev/r1/x"):
        strict.get("x")


def test_exponents_keep_their_types(strict: Any) -> None:
    """What pint would make a float of is refused, and not changed."""
    pint = pytest.importorskip("pint")
    unit = pint.get_application_registry().Unit("m") ** Fraction(1, 2)
    exponents = list(map(type, unit._units.values()))
    try:
        strict.put("x", unit)
    except UnsafePickleError:
        return
    assert exponents == list(map(type, strict.get("x")._units.values()))


# pendulum ----------------------------------------------------------------------------------------


def _of_pendulum(pdl: Any) -> list[Any]:
    paris = pdl.timezone("Europe/Paris")
    folded = [pdl.DateTime(2024, 10, 27, 2, 30, tzinfo=paris, fold=fold) for fold in (0, 1)]
    day, later = pdl.date(2024, 1, 1), pdl.date(2024, 3, 1)
    return [
        *folded,
        pdl.datetime(2024, 1, 1, tz="UTC"),
        pdl.naive(2024, 1, 1, 1, 2, 3, 4),
        pdl.datetime(2024, 1, 1, tz=pdl.FixedTimezone(3600, "X")),
        day,
        pdl.time(1, 2, 3, 4),
        pdl.duration(years=1, months=-2, days=40, hours=1.5, microseconds=7),
        pdl.duration(seconds=-1),
        later - day,
        day.diff(later),
        later.diff(day),
        day - later,
        folded[1] - folded[0].subtract(months=5),
        paris,
        pdl.FixedTimezone(-3600),
    ]


def test_times_of_pendulum(strict: Any) -> None:
    """Values, types, zones, which of two equal hours, and the months of durations come back."""
    value = _of_pendulum(pytest.importorskip("pendulum"))
    assert not strict.put("x", value).pickled
    for one, other in zip(value, strict.get("x"), strict=True):
        assert type(one) is type(other)
        assert one == other
        assert repr(one) == repr(other)
        for name in ("fold", "tzinfo", "months", "years", "_invert", "_absolute", "_signature"):
            assert getattr(one, name, None) == getattr(other, name, None)


@pytest.mark.parametrize(
    "content",
    [
        ["Date", [2024, 13, 1]],
        ["Date", [2024, 1.0, 1]],
        ["Date", "2024-01-01"],
        ["DateTime", [2024, 1, 1, 0, 0, 0, 0, 2], None],
        ["DateTime", [2024, 1, 1, 0, 0, 0, 0, 0], ["Timezone", "../../etc/passwd"]],
        ["DateTime", [2024, 1, 1, 0, 0, 0, 0, 0], ["FixedTimezone", 10**12, "x"]],
        ["DateTime", [2024, 1, 1, 0, 0, 0, 0, 0], ["FixedTimezone", 1, 2]],
        ["Time", [25, 0, 0, 0, 0], None],
        ["Duration", [1]],
        ["Duration", [0, 0, 10**30, 0, 0, 0, 0, 0]],
        ["Duration", [0.5, 0, 0, 0, 0, 0, 0, 0]],
        ["Duration", ["1", 0, 0, 0, 0, 0, 0, 0]],
        ["Interval", ["Date", [2024, 1, 1]], ["Time", [0, 0, 0, 0, 0], None], False],
        ["Interval", ["Date", [2024, 1, 1]], ["Date", [2024, 1, 1]], 1],
        ["Interval", 1, 2, False],
        ["parse", "2024"],
        [],
        ["Date"],
        ["DateTime", [2024, 1, 1, 0, 0, 0, 0, 0]],
    ],
    ids=str,
)
def test_forged_times_are_refused(strict: Any, content: Any) -> None:
    """Whatever is no such time is damage, or a zone that is not known."""
    pytest.importorskip("pendulum")
    forged(strict, {"$pendulum": content})
    with pytest.raises((CorruptObjectError, UnsupportedValueError), match="dev/r1/x"):
        strict.get("x")


@pytest.mark.parametrize("tree", [{"$zone": "a" * 5000}, {"$zone": "Europe/Nowhere"}], ids=str)
def test_a_zone_that_is_not_known_is_named_once(strict: Any, tree: Any) -> None:
    """The message has the name, cut, and no message of a library around it."""
    forged(strict, tree)
    with pytest.raises(UnsupportedValueError, match=r"the time zone \S{,70} is not known") as found:
        strict.get("x")
    assert len(str(found.value)) < 200


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "/etc/passwd", 7, [1], [[1.5], "x"]])
def test_what_is_no_zone_is_damage(strict: Any, name: Any) -> None:
    """No path leads out of the database, and no other type is taken for a zone."""
    forged(strict, {"$zone": name})
    with pytest.raises(CorruptObjectError, match="dev/r1/x"):
        strict.get("x")
