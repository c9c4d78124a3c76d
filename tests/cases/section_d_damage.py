"""Sections B and D: what is damaged or forged, and what only cannot be rebuilt."""

from functools import partial
from importlib import import_module
from pathlib import Path

from tests.cases._case import case

# Of each case its id, the function of `_damage` that reproduces it, and what is true now.
_CASES = (
    ("B3", "rebuilding", "A bug, or another version of a library, is never called damage."),
    (
        "D1",
        "any_bit",
        "No flipped bit of a large object crashes, and none passes in what is read whole.",
    ),
    ("D1", "numbers", "A flipped number of a mapped object is found by verify=True."),
    ("D2", "ray", "An Arrow column of ray.data's pickled type runs nothing under deny and signed."),
    ("D3", "forged", "Codes, offsets, views and batch lengths that point nowhere are refused."),
    ("D3", "columns", "A description of a billion columns is refused at once."),
    ("D3", "skops", "A .skops of kilobytes that unpacks to gigabytes is refused, under deny."),
    (
        "D3",
        "zstd",
        "Zstd from kilobytes to gigabytes is refused, unless RUNSTORE_MAX_DECODED allows it.",
    ),
    ("D8", "scopes", "Signatures of staging are not accepted in prod, though both have one key."),
    ("D8", "unsigned", "Unsigned frames and JSON do not replace signed ones under signed."),
    ("D8", "rotation", "While keys are renewed, what the old one signed is read."),
)


def _run(function: str, folder: Path) -> None:
    """Import what only these cases need, and run one."""
    getattr(import_module("tests.cases._damage"), function)(folder)


for _id, _function, _title in _CASES:
    case(_id, _title)(partial(_run, _function))
