"""A small cut of what `make fuzz` reads."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.__main__ import findings

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_changed_files_do_no_harm():
    """Nothing crashes, hangs, raises a foreign error, runs or fills memory, however it is read."""
    assert [] == list(findings(0, 300))


@pytest.mark.slow
def test_no_flipped_bit_crashes_or_passes():
    """In what is read whole it is found; in mapped numbers verify=True finds it."""
    code = "from tests.fuzz.flips import KINDS, flips\nfor kind in KINDS: flips(kind, 4)"
    ran = subprocess.run([sys.executable, "-c", code], check=False, cwd=_ROOT, capture_output=True)
    assert (0, "") == (ran.returncode, ran.stderr.decode())
