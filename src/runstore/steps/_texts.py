"""How far an operation is, in words."""

from runstore.steps._reports import Step

__all__ = ["far"]


def far(step: Step) -> str:
    """Return ``12.3 MB of 1.2 GB, 1 %`` or ``7 of 300 objects, 2 %``; without a total the count."""
    if step.unit == "bytes":
        done, total, unit = _size(step.done), _size(step.total or 0), ""
    else:
        done, total, unit = f"{step.done:,}", f"{step.total or 0:,}", f" {step.unit}"
    if not step.total:
        return f"{done}{unit}" if step.done else ""
    return f"{done} of {total}{unit}, {min(100, 100 * step.done // step.total)} %"


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
