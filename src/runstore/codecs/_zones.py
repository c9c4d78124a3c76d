"""Time zones as JSON and back: each comes back as the object of the library that it was."""

from collections.abc import Callable
from datetime import timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runstore.codecs._exactly import all_exactly, exactly
from runstore.codecs._python import is_json
from runstore.errors import CorruptObjectError, MissingExtraError, UnsupportedValueError

__all__ = ["arrow_zone", "zone_of", "zone_tree"]


def zone_tree(zone: tzinfo | None) -> Any:
    """Return a time zone as JSON: none, a name of the database, an offset, or one of pytz.

    Returns:
        ``...`` for a zone that would not come back the same.
    """
    if zone is None:
        return None
    if type(zone) is ZoneInfo:
        return zone.key if zone.key is not None and _is_from_database(zone) else ...
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        if name and not is_json(name[0]):
            return ...
        return [_days(offset), *name]
    return _pytz_tree(zone) if type(zone).__module__.partition(".")[0] == "pytz" else ...


def zone_of(tree: Any, ref: str = "the object") -> tzinfo | None:
    """Return the zone that `zone_tree` was given.

    Raises:
        UnsupportedValueError: The zone is not known here.
        CorruptObjectError: It is no zone.
        MissingExtraError: It is one of pytz, which is not installed.
    """
    if tree is None:
        return None
    if isinstance(tree, dict):
        return _pytz_zone(tree, ref)
    if isinstance(tree, str):
        found: tzinfo = zone_called(ZoneInfo, tree, ref)
        return found
    offset, *name = exactly(tree, ref, list)
    all_exactly(offset, ref, int, count=3)
    if not name and not any(offset):
        return timezone.utc  # noqa: UP017 - the one object that it is
    return timezone(timedelta(*offset), *name)


def zone_called(make: Callable[[str], Any], key: str, ref: str) -> Any:
    """Return the zone of that name in the database.

    Args:
        make: Makes it, as ``ZoneInfo`` does.
        key: The name that a file has.
        ref: The object, for messages.

    Raises:
        UnsupportedValueError: The zone is not known here.
        CorruptObjectError: No zone can have that name.
    """
    try:
        return make(key)
    except (LookupError, OSError) as exc:
        raise _unknown(key, ref) from exc
    except ValueError as exc:  # a path out of the database, or a file in it that is no zone
        raise CorruptObjectError(f"{ref} is damaged: {_short(key)} is no time zone", ref) from exc


def arrow_zone(zone: tzinfo | None) -> str:
    """Return the zone of an Arrow column: its name, and UTC for an offset, which polars refuses."""
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or "UTC")


def _days(offset: timedelta) -> list[int]:
    return [offset.days, offset.seconds, offset.microseconds]


def _is_from_database(zone: ZoneInfo) -> bool:
    """Return whether the zone's name leads back to it; a file read by hand can bear any name."""
    try:
        return ZoneInfo(zone.key) is zone
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        return False


def _pytz_tree(zone: Any) -> Any:
    """Describe a zone of pytz by what it is pickled as: a name, and which of its offsets."""
    import pytz

    if zone is pytz.utc:
        return {"pytz": "UTC"}
    if type(zone) is pytz._FixedOffset:
        return {"pytz": zone._minutes}
    if not isinstance(zone, (pytz.tzinfo.DstTzInfo, pytz.tzinfo.StaticTzInfo)):
        return ...
    _, (name, *offsets) = zone.__reduce__()
    if type(name) is not str or pytz.unpickler(name, *offsets) is not zone:
        return ...
    return {"pytz": [name, *offsets]}


def _pytz_zone(tree: dict[str, Any], ref: str) -> tzinfo:
    try:
        import pytz
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            f"{ref} has times with a zone of pytz: pip install pytz", "pytz"
        ) from exc
    told = tree["pytz"]
    try:
        if isinstance(told, list):
            name, *numbers = told
            exactly(name, ref, str)
            zone: tzinfo = pytz.unpickler(name, *numbers)
        elif isinstance(told, int):
            zone = pytz.FixedOffset(told)
        else:
            name = exactly(told, ref, str)
            zone = pytz.timezone(name)
    except (pytz.UnknownTimeZoneError, OSError) as exc:
        raise _unknown(name, ref) from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: no time zone of pytz", ref) from exc
    return zone


def _unknown(key: str, ref: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"cannot load {ref}: the time zone {_short(key)} is not known here. Install tzdata", ref
    )


def _short(key: str) -> str:
    """Return a name for a message: those of the database are short."""
    cut = key if len(key) <= _LONGEST else f"{key[:_LONGEST]}…"
    return cut if cut and cut.isprintable() and cut.isascii() else ascii(cut)


_LONGEST = 60  # characters
