import os

import pytest

from runstore.backends import open_backend
from runstore.backends._memory import _spaces
from runstore.testing import BackendTests


class TestMemory(BackendTests):
    """The memory backend keeps the contract."""

    @pytest.fixture
    def backend(self, request):
        return open_backend(f"memory://{request.node.nodeid}")

    def raw_read(self, backend, key):
        data = _spaces[backend.url.removeprefix("memory://")].objects[key].data
        return data if isinstance(data, bytes) else os.pread(data.fd, data.size, 0)


def test_one_name_is_one_place():
    """Two backends of one name share their objects; another name has none of them."""
    open_backend("memory://shared").put("a.arrow", [b"x"])
    assert ["a.arrow"] == [entry.key for entry in open_backend("memory://shared").list("")]
    assert [] == list(open_backend("memory://other").list(""))


def test_large_objects_give_their_memory_back():
    """Replacing and deleting large objects closes what held them."""
    backend = open_backend("memory://gives-back")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        backend.put("a.arrow", [bytes(1 << 20)])
    assert before + 1 == len(os.listdir("/proc/self/fd"))
    backend.delete("a.arrow")
    assert before == len(os.listdir("/proc/self/fd"))


def test_many_large_objects_do_not_use_up_file_descriptors():
    """However many large objects are kept and read, few descriptors are open."""
    backend = open_backend("memory://many")
    for i in range(600):
        backend.put(f"{i}.arrow", [bytes([i % 256]) * 130_000])
    read = [backend.get(f"{i}.arrow")[0] for i in range(600)]
    assert len(os.listdir("/proc/self/fd")) < 600
    assert [i % 256 for i in range(600)] == [memoryview(data)[-1] for data in read]
    for i in range(600):
        backend.delete(f"{i}.arrow")
