"""Runs and objects as HTML: templates, drawings, and the card of a run.

All text of users, which is names, cells, metadata and errors, is escaped by the template engine,
and control characters and marks of direction in it are written out. Needs the extra ``ui``.
"""

from runstore.pages._card import CARD, LARGEST_CARD, check_installed, run_card
from runstore.pages._drawing import Bar, Box, Drawing, bars_of, drawn, ends_of
from runstore.pages._environment import STATIC, address, environment
from runstore.pages._run import run_page

__all__ = [
    "CARD",
    "LARGEST_CARD",
    "STATIC",
    "Bar",
    "Box",
    "Drawing",
    "address",
    "bars_of",
    "check_installed",
    "drawn",
    "ends_of",
    "environment",
    "run_card",
    "run_page",
]
