"""What is public changes only on purpose."""

import difflib

from tests.surface._listing import FILE, listing


def test_the_public_names_and_arguments_are_those_that_were_agreed():
    """A new or changed name is written down by `python -m tests.surface`, in the same commit."""
    expected, actual = FILE.read_text().splitlines(), listing().splitlines()
    changed = list(difflib.unified_diff(expected, actual, lineterm="", n=0))[2:]
    assert [] == changed, "is that meant? docs/stability.md says what must stay"
