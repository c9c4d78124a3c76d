"""A case: a short reproduction of a fault that was mended, and what is right instead."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["CASES", "Case", "case"]


class Case(NamedTuple):
    """One reproduction.

    Attributes:
        id: A letter of its section and a number, as ``A1``; several cases may share one.
        title: What is true now, in one sentence.
        run: Called with an empty directory, which is also the working directory. It raises
            AssertionError, or anything else, if the case is open again.
        seconds: How long it may take on a busy machine.
    """

    id: str
    title: str
    run: Callable[[Path], None]
    seconds: float


CASES: list[Case] = []
"""Every case, in the order of definition."""


def case(
    id: str,  # noqa: A002 - the field's name
    title: str,
    *,
    seconds: float = 120,
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register the decorated function as a case."""

    def register(run: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Case(id, title, run, seconds))
        return run

    return register
