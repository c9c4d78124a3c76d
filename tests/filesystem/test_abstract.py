"""fsspec's own suite for filesystems: copy, get, put, open and pipe, on memory and on a disk.

The suite writes files of any bytes under names without an extension, and of no bytes. The store
refuses such (`test_writing` has that), so here each is kept in an Arrow file of one cell: all
that the suite asks of paths, patterns, copies and modes is asked of the real filesystem.
"""

import os
import uuid

import pyarrow as pa
import pytest
from fsspec.tests import abstract

from runstore.filesystem import RunstoreFileSystem
from runstore.store import Pinned


class AnyFiles(RunstoreFileSystem):
    """Keeps files of any bytes: each as the only cell of an Arrow file."""

    def _publish(self, path, place, view, if_absent, data):
        if isinstance(data, int):  # the descriptor of a file
            data = os.pread(data, os.fstat(data).st_size, 0)
        batch = pa.record_batch({"file": pa.array([bytes(data)])})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        super()._publish(path, place, view, if_absent, sink.getvalue())

    def _whole(self, path, place):
        kept = super()._whole(path, place)
        return memoryview(pa.ipc.open_file(pa.py_buffer(kept)).get_batch(0)["file"][0].as_py())

    def _pinned(self, path, place):
        version = super()._pinned(path, place)
        view = self._whole(path, place)
        return Pinned(version.backend, version.entry._replace(size=view.nbytes), 0, view)


class RunstoreFixtures(abstract.AbstractFixtures):
    @pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.extended), "local"])
    def fs(self, request, tmp_path):
        """Give the filesystem under test."""
        memory = request.param == "memory"
        return AnyFiles(f"memory://{uuid.uuid4()}" if memory else tmp_path / "store")

    @pytest.fixture
    def fs_path(self):
        """Give where the suite works: within one run."""
        return "dev/r1"

    @pytest.fixture
    def supports_empty_directories(self):
        """A folder is there as long as an object is in it."""
        return False


class TestCopy(abstract.AbstractCopyTests, RunstoreFixtures):
    pass


class TestGet(abstract.AbstractGetTests, RunstoreFixtures):
    pass


class TestPut(abstract.AbstractPutTests, RunstoreFixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, RunstoreFixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, RunstoreFixtures):
    pass
