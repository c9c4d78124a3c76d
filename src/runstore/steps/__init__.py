"""How far long operations are: they tell it here, and who wants to know listens.

    with runstore.progress():
        store.put_many(objects)

Nobody listens by default, and then telling costs next to nothing. Operations call `reporting`; a
terminal, a notebook or a callback of the user's listens.
"""

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

__all__ = [
    "SILENT",
    "Report",
    "Step",
    "Unit",
    "both",
    "counted",
    "each_told",
    "listening",
    "progress",
    "reporting",
]
