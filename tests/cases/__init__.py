"""Every fault that was found by trying hard, as a short reproduction: `make cases` runs them all.

A module is a section (``section_a_addresses.py``). Each case runs in a process of its own, in
an empty directory, without any ``AWS_*`` or ``RUNSTORE_*`` variable: a crash, a hang or a leak
is a failure of that case alone.
"""

import importlib
import pkgutil

from tests.cases._case import CASES, Case

__all__ = ["every_case"]


def every_case() -> list[Case]:
    """Import all sections and return their cases, sorted by id; equal ids keep their order."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if module.startswith("section_"):
            importlib.import_module(f"{__name__}.{module}")
    return sorted(CASES, key=lambda case: (case.id[0], int(case.id[1:])))
