"""Two runs of an orchestrator at once: `build` of each waits for that of the other."""

import os
import subprocess
import tempfile
import time
from contextlib import contextmanager

__all__ = ["meeting", "twice"]


@contextmanager
def meeting():
    """Let the runs of this block, which has two at once, wait for each other."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STAGES_MEET"] = folder
        try:
            yield
        finally:
            del os.environ["STAGES_MEET"]


def twice(command):
    """Run a command in two processes at once; if one fails, the other is ended.

    Raises:
        AssertionError: One has failed.
    """
    with meeting():
        both = [subprocess.Popen(command) for _ in range(2)]
        try:
            while any(each.poll() is None for each in both):
                assert not any(each.poll() for each in both), "one of two runs has failed"
                time.sleep(0.05)
            assert [0, 0] == [each.returncode for each in both]
        finally:
            for each in both:
                each.kill()
                each.wait()
