"""The figures: what they show, and of which cases. `benchmarks.plots` draws them."""

from dataclasses import dataclass

__all__ = ["FIGURES", "Figure"]


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        caption: What it shows, in words.
        cases: How the names of its cases begin.
    """

    caption: str
    cases: str


FIGURES = {
    "frame-256MB": Figure("put, get, and get and touch of a 256 MB frame", "frame-floats-256MB"),
    "s3": Figure("a 256 MB array and 300 small objects on S3", "s3-array-256MB"),
    "growth-size": Figure("time against the size of a frame, 1 KB to 4 GB", "growth-size-"),
    "growth-count": Figure("time against the number of objects, 1 to 100,000", "growth-count-"),
    "growth-runs": Figure("time against the runs in the store, 1 to 10,000", "growth-runs-"),
}
"""By the names of their files, without `.svg`."""
