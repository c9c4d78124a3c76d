"""Times, spans and zones of pendulum: their numbers, and zones by name.

pendulum's own pickles forget which of two equal hours a time is in, and the months of a duration.
"""

from datetime import tzinfo
from typing import Any

from runstore.codecs._base import type_name
from runstore.codecs._python import is_json
from runstore.codecs._zones import zone_called, zone_of, zone_tree
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = ["KINDS", "time_of_pendulum", "time_tag"]

_MODULES = ("date.Date", "datetime.DateTime", "duration.Duration", "interval.Interval", "time.Time")
_ZONES = ("FixedTimezone", "Timezone")
KINDS = (
    *(f"pendulum.{name}" for name in _MODULES),
    *(f"pendulum.tz.timezone.{name}" for name in _ZONES),
)

_DAY = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "microsecond", "fold")
_SPAN = ("years", "months", "weeks", "days", "hours", "minutes", "seconds", "microseconds")
_OF_SPAN = (
    *("_total", "_years", "_months", "_weeks", "_days", "_remaining_days", "_seconds"),
    *("_microseconds", "_signature"),
)


def time_tag(value: Any) -> tuple[str, Any] | None:
    """Return tag and content; None if it would come back different."""
    try:
        content = _told(value)
        same = is_json(content) and _is_same(value, time_of_pendulum(content, "the value"))
    except (
        *(AttributeError, KeyError, LookupError, OverflowError, TypeError, ValueError),
        *(CorruptObjectError, UnsupportedValueError),
    ):  # of another version of pendulum, or one that cannot be made again
        return None
    return ("$pendulum", content) if same else None


def _told(value: Any) -> list[Any]:
    kind = type(value).__name__
    match kind:
        case "Date":
            return [kind, [getattr(value, name) for name in _DAY]]
        case "DateTime":
            numbers = [getattr(value, name) for name in (*_DAY, *_CLOCK)]
            return [kind, numbers, _zone_told(value.tzinfo)]
        case "Time":
            return [kind, [getattr(value, name) for name in _CLOCK], _zone_told(value.tzinfo)]
        case "Duration":
            return [kind, [value._signature[name] for name in _SPAN]]
        case "Interval":
            start, end, absolute = value._getstate()
            return [kind, _told(start), _told(end), absolute]
        case _:
            return [kind, *_zone_told(value)[1:]]


def _zone_told(zone: tzinfo | None) -> Any:
    if zone is None:
        return None
    match type_name(type(zone)):
        case "pendulum.tz.timezone.Timezone":
            made: Any = type(zone)
            found: Any = zone
            if made(found.key) is not zone:
                raise ValueError("a zone of a file")
            return ["Timezone", found.key]
        case "pendulum.tz.timezone.FixedTimezone":
            fixed: Any = zone
            return ["FixedTimezone", fixed._offset, fixed._name]
    tree = zone_tree(zone)
    if tree is ...:
        raise ValueError("a zone of its own")
    return ["other", tree]


def time_of_pendulum(content: Any, ref: str) -> Any:
    """Rebuild what `time_tag` was given.

    Raises:
        CorruptObjectError: It is no such value.
        UnsupportedValueError: A time zone is not known here.
    """
    try:
        return _made(content, ref)
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: no time of pendulum ({exc})", ref) from exc


def _made(content: Any, ref: str) -> Any:
    import pendulum

    kind, *told = content
    match kind:
        case "Date":
            return pendulum.Date(*_whole(told[0], 3))
        case "DateTime":
            *numbers, fold = _whole(told[0], 8)
            return pendulum.DateTime(*numbers, tzinfo=_zone_made(told[1], ref), fold=fold)
        case "Time":
            *numbers, fold = _whole(told[0], 5)
            return pendulum.Time(*numbers, tzinfo=_zone_made(told[1], ref), fold=fold)
        case "Duration":
            (numbers,) = told
            if len(numbers) != len(_SPAN) or not set(map(type, numbers)) <= {int, float}:
                raise ValueError("no numbers")
            _whole(numbers[:2], 2)
            return pendulum.Duration(**dict(zip(_SPAN, numbers, strict=True)))
        case "Interval":
            start, end, absolute = told
            if {start[0], end[0]} not in ({"Date"}, {"DateTime"}) or type(absolute) is not bool:
                raise ValueError("no ends")
            return pendulum.Interval(_made(start, ref), _made(end, ref), absolute)
    return _zone_made(content, ref)


def _whole(numbers: Any, count: int) -> list[int]:
    if type(numbers) is not list or len(numbers) != count or set(map(type, numbers)) != {int}:
        raise ValueError("no whole numbers")
    return numbers


def _zone_made(told: Any, ref: str) -> Any:
    import pendulum

    if told is None:
        return None
    match told:
        case ["Timezone", str(key)]:
            return zone_called(pendulum.Timezone, key, ref)
        case ["FixedTimezone", int(offset), str(name)] if abs(offset) < 86400 and name:
            return pendulum.FixedTimezone(offset, name)
        case ["other", tree]:
            return zone_of(tree, ref)
    raise ValueError("no zone")


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    match type(one).__name__:
        case "Date":
            return bool(one == other)
        case "DateTime" | "Time":
            plain = [value.replace(tzinfo=None) for value in (one, other)]
            same = plain[0] == plain[1] and one.fold == other.fold
            return same and _is_same_zone(one.tzinfo, other.tzinfo)
        case "Duration":
            return all(getattr(one, name) == getattr(other, name) for name in _OF_SPAN)
        case "Interval":
            ends = zip(one._getstate()[:2], other._getstate()[:2], strict=True)
            told = (one._absolute, one._invert) == (other._absolute, other._invert)
            return told and all(_is_same(*pair) for pair in ends) and one._total == other._total
    return _is_same_zone(one, other)


def _is_same_zone(one: Any, other: Any) -> bool:
    if type(one).__name__ == "FixedTimezone" and type(one) is type(other):
        return bool(vars(one) == vars(other))
    return one is other or (type(one) is type(other) and repr(one) == repr(other))
