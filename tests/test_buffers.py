import gc
import os
import sys
from pathlib import Path

import pytest

from runstore import buffers
from runstore.buffers import MAP_FROM, flat, map_private

SIZE = MAP_FROM + 5


@pytest.fixture
def file(tmp_path):
    """Give the descriptor of a file that is large enough to be mapped."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * SIZE)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture(params=["as here", "no ctypes"], autouse=True)
def way(request, monkeypatch):
    """Map in both ways: that of this Python, and that without `ctypes`."""
    if request.param == "no ctypes":
        monkeypatch.setattr(buffers, "_map_at", lambda: None)
    return request.param


def test_a_mapping_is_private_and_outlives_its_file(file, tmp_path):
    """What is written to it reaches neither the file nor another reader."""
    one, other = map_private(file, SIZE), map_private(file, SIZE)
    assert SIZE == flat(one).nbytes
    flat(one)[0:3] = b"abc"
    (tmp_path / "file").unlink()
    assert (b"abcx", b"xxxx") == (bytes(flat(one)[:4]), bytes(flat(other)[:4]))
    assert b"xxxx" == os.pread(file, 4, 0)
    assert b"x" == bytes(flat(one)[-1:])


def _read_so_far():
    text = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if "rchar" in line)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads Linux's /proc")
def test_a_thousand_living_mappings_read_nothing(file, way):
    """Each of many living objects is mapped and none is read; they keep no descriptor."""
    if way == "no ctypes" and sys.version_info < (3, 13):
        return  # then each keeps one
    opened, before = len(os.listdir("/proc/self/fd")), _read_so_far()
    kept = [map_private(file, SIZE) for _ in range(1000)]
    assert _read_so_far() - before < SIZE
    assert opened == len(os.listdir("/proc/self/fd"))
    assert {b"x"} == {bytes(flat(one)[-1:]) for one in kept}


def _mappings(name):
    return Path("/proc/self/maps").read_text().count(name)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's /proc")
def test_a_mapping_ends_with_its_last_reference(file, tmp_path):
    """Nothing stays mapped when nobody has the buffer, or a view of it, any more."""
    name = str(tmp_path / "file")
    view = flat(map_private(file, SIZE))
    gc.collect()
    assert 1 == _mappings(name)
    del view
    assert 0 == _mappings(name)
