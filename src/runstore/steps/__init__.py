"""How far long operations are: they tell it here, and who wants to know listens.

    with runstore.progress():
        store.put_many(objects)

Nobody listens by default, and then telling costs next to nothing. Operations call `reporting`; a
terminal, a notebook or a callback of the user's listens.
"""

from typing import TYPE_CHECKING, Any

from runstore.steps._progress import progress
from runstore.steps._reports import (
    SILENT,
    Report,
    Step,
    Unit,
    both,
    counted,
    each_told,
    listening,
    reporting,
)

if TYPE_CHECKING:
    from runstore.steps._live import Redrawn, bar

__all__ = [
    "SILENT",
    "Redrawn",
    "Report",
    "Step",
    "Unit",
    "bar",
    "both",
    "counted",
    "each_told",
    "listening",
    "progress",
    "reporting",
]


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in ("Redrawn", "bar"):  # which only a terminal needs
            raise AttributeError(f"module 'runstore.steps' has no attribute {name!r}")
        from runstore.steps import _live

        return getattr(_live, name)
