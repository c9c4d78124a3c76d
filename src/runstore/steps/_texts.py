"""How far an operation is, in words."""

from runstore.steps._reports import Step
from runstore.texts import human_size

__all__ = ["far"]


def far(step: Step) -> str:
    """Return ``12.3 MB of 1.2 GB, 1 %`` or ``7 of 300 objects, 2 %``; without a total the count."""
    if step.unit == "bytes":
        done, total, unit = human_size(step.done), human_size(step.total or 0), ""
    else:
        done, total, unit = f"{step.done:,}", f"{step.total or 0:,}", f" {step.unit}"
    if not step.total:
        return f"{done}{unit}" if step.done else ""
    return f"{done} of {total}{unit}, {min(100, 100 * step.done // step.total)} %"
