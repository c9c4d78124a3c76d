"""A small cut of what `make fuzz` reads."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.fuzz import __main__ as fuzz
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


_READERS = {
    "sleeps": (True, "import time; time.sleep(3600)"),
    "turns": (True, "while True: pass"),
    "turns in a thread": (
        True,
        "import threading\n"
        "def turn():\n"
        "    while True: pass\n"
        "threading.Thread(target=turn).start()",
    ),
    "goes on": (
        False,
        "import pathlib, sys, time\n"
        "for number in range(60):\n"
        "    pathlib.Path(sys.argv[1]).write_text(str(number))\n"
        "    time.sleep(0.05)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", _READERS)
def test_a_reader_that_hangs_is_ended_and_one_that_goes_on_is_not(how, tmp_path, monkeypatch):
    """What neither comes to another file nor ends is killed, whether it sleeps or works."""
    monkeypatch.setattr(fuzz, "_SILENT", 1)
    monkeypatch.setattr(fuzz, "_POLL", 0.1)
    hangs, code = _READERS[how]
    at = tmp_path / "at"
    at.write_text("0")
    process = subprocess.Popen([sys.executable, "-c", code, str(at)])
    assert hangs == fuzz._wait(process, at)
    assert (-9 if hangs else 0) == process.returncode


@pytest.mark.slow
def test_a_reader_without_a_processor_does_not_hang(tmp_path, monkeypatch):
    """Time in which it is stopped, and could work, does not count."""
    monkeypatch.setattr(fuzz, "_SILENT", 1)
    monkeypatch.setattr(fuzz, "_POLL", 0.1)
    at = tmp_path / "at"
    at.write_text("0")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.send_signal(signal.SIGSTOP)

    def go_on():
        process.send_signal(signal.SIGCONT)
        process.stdin.close()

    timer = threading.Timer(3, go_on)
    timer.start()
    assert not fuzz._wait(process, at)
    timer.join()
    assert 1 == process.returncode  # the end of its input
