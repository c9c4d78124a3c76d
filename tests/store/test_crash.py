"""kill -9 at any moment of a put: the whole old value or the whole new one."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from runstore import ObjectStore

SIZE = 64_000_000

_WRITER = """
import sys
import numpy as np
from runstore import ObjectStore
view = ObjectStore(sys.argv[1]).at(namespace="dev", run="r")
arrays = [np.full(8_000_000, float(i)) for i in range(2)]
print("ready", flush=True)
i = 0
while True:
    i += 1
    view.put("x", arrays[i % 2])
"""


def _kills(tmp_path, times):
    """Kill a writer *times* times, each time while it writes; say how many files it left."""
    store = ObjectStore(tmp_path / "store")
    view = store.at(namespace="dev", run="r")
    view.put("x", np.full(SIZE // 8, 7.0))
    dice = random.Random(20261122)
    orphans = 0
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "store")], stdout=subprocess.PIPE
        ) as writer:
            assert b"ready\n" == writer.stdout.readline()
            while not _begun(tmp_path / "store" / ".runstore-tmp"):
                assert writer.poll() is None, "the writer ended by itself"
            for _ in range(dice.randrange(100)):
                _begun(tmp_path / "store" / ".runstore-tmp")  # some steps into the write
            writer.kill()
        value = view.get("x", verify=True)
        assert SIZE // 8 == len(value)
        assert 1 == len(np.unique(value))
        assert ["x"] == [info.name for info in view.list()]
        assert ["x.arrow"] == [path.name for path in (tmp_path / "store/dev/r").iterdir()]
        orphans += store.sweep(older_than=0)
        assert [] == list((tmp_path / "store" / ".runstore-tmp").iterdir())
    return orphans


def _begun(temporary):
    """Whether a file is being written."""
    return temporary.is_dir() and bool(os.listdir(temporary))


@pytest.mark.extended
def test_kills_amid_a_put_leave_a_whole_value(tmp_path):
    """After each kill a reader sees one whole value, list() only that, and orphans are swept."""
    # Some of the kills did hit a write: without orphans this would have tested nothing.
    assert _kills(tmp_path, 6) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills(tmp_path):
    """The same, two hundred times."""
    assert _kills(tmp_path, 200) > 0
