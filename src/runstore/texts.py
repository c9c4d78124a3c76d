"""Times, types and shapes as texts for people; whoever shows something uses the same."""

from datetime import UTC, datetime

__all__ = [
    "duration",
    "elapsed",
    "human_size",
    "instant",
    "shape",
    "short_type",
    "state_told",
    "zoned",
]


def duration(seconds: float | None) -> str:
    """Return a time span as text: ``0.42 s``, ``1 min 03 s``, ``2 h 05 min``."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def instant(time: datetime | None, zone: str = "") -> str:
    """Return a time as text: to the second, in UTC, followed by *zone*.

    A time without a zone is taken as UTC. A time that in UTC is before the year 1 or after 9999
    is shown in its own zone.
    """
    if time is None:
        return ""
    try:
        time = zoned(time).astimezone(UTC)
    except OverflowError:
        return time.isoformat(" ", "seconds")
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}"


def zoned(time: datetime) -> datetime:
    """Return a time with its zone; one without is taken as UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def elapsed(began: datetime | None, ended: datetime | None) -> float | None:
    """Return the seconds between two times, None if one is not known."""
    if began is None or ended is None:
        return None
    return (zoned(ended) - zoned(began)).total_seconds()


def state_told(state: str) -> str:
    """Return what has become of a run or stage, as the end of a sentence: ``has failed``."""
    return {"failed": "has failed", "finished": "has finished", "pending": "has not begun"}.get(
        state, f"is {state}"
    )


def short_type(python_type: str | None) -> str:
    """Return the usual name of a type: ``dict``, ``pandas.DataFrame``, ``polars.Series``."""
    if python_type is None:
        return ""
    library, dot, rest = python_type.partition(".")
    name = rest.rpartition(".")[2]
    return f"{library}{dot}{name}" if library != "builtins" else name


def shape(rows: int | None, columns: int | None) -> str:
    """Return the size of a table or array as text, in rows and columns."""
    if rows is None:
        return ""
    return f"{rows:,}" if columns is None else f"{rows:,} × {columns:,}"


def human_size(size: int) -> str:
    """Return a number of bytes as text for people: ``999 B``, ``1.2 KB``, ``3.4 GB``."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
