"""The contract of a place, kept on filesystems of fsspec, each as far as it promises."""

import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow.fs
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from runstore.places import open_backend
from runstore.places._fsspec import FsspecBackend
from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import dialect_of
from runstore.testing import PlaceTests

BY_THE_CLOCK = {"versions": "by the clock, which may tick too slowly"}


def backend_on(fs, root, **options):
    """A backend on a filesystem, also on one that a native place would be used for."""
    calls = Calls(lambda: fs, 60, owned=False)
    return FsspecBackend(f"test://{root}", calls, root, dialect_of(fs), **options)


class FsspecTests(PlaceTests):
    """The contract on a filesystem; what is not claimed is tried without the refusal."""

    def unrestrained(self, backend):
        dialect = replace(backend._dialect, create=True)
        if dialect.atomic_put == "rename" and dialect.link is None:
            return None  # there is no call that could be tried
        return FsspecBackend(f"{backend.url}/t", backend._calls, f"{backend._root}/t", dialect)


class TestMemory(FsspecTests):
    """fsspec's memory keeps the contract."""

    repeats = 5
    unclaimed = BY_THE_CLOCK

    @pytest.fixture
    def backend(self):
        return backend_on(MemoryFileSystem(), f"/{uuid.uuid4()}")

    def raw_read(self, backend, key):
        return MemoryFileSystem().cat_file(f"{backend.url.removeprefix('test:/')}/{key}"[1:])


@pytest.mark.slow  # `make test-places`: the same calls as those of the memory beneath
class TestDir(PlaceTests):
    """A `dir::` URL keeps the contract of what is beneath."""

    repeats = 2
    unclaimed = TestMemory.unclaimed

    @pytest.fixture
    def backend(self):
        return open_backend(f"dir::memory://{uuid.uuid4()}")

    def raw_read(self, backend, key):
        return MemoryFileSystem().cat_file(f"{backend.url.removeprefix('dir::memory:/')}/{key}")


class TestLocal(FsspecTests):
    """fsspec's local filesystem keeps the contract, where the native place is not used."""

    repeats = 3
    unclaimed = BY_THE_CLOCK

    @pytest.fixture
    def backend(self, tmp_path):
        return backend_on(LocalFileSystem(), str(tmp_path / "root"))

    def raw_read(self, backend, key):
        return Path(backend.url.removeprefix("test:/")[1:], key).read_bytes()


class DeletingFileSystem(LocalFileSystem):
    """Replaces as pyarrow does on HDFS: it deletes what is there, and then moves."""

    protocol = "hdfs"

    def mv(self, path1, path2, **_):
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        with suppress(FileNotFoundError):
            Path(path2).unlink()
            time.sleep(0.001)
        Path(path1).rename(path2)


@pytest.mark.slow  # `make test-places`
class TestDeleting(TestLocal):
    """Where a file is deleted before another takes its place, no reader finds nothing."""

    @pytest.fixture
    def backend(self, tmp_path):
        return backend_on(DeletingFileSystem(), str(tmp_path / "root"))


@pytest.mark.slow  # `make test-places`
class TestArrow(TestLocal):
    """A filesystem of pyarrow's, in fsspec's wrapper, keeps the contract."""

    @pytest.fixture
    def backend(self, tmp_path):
        return backend_on(ArrowFSWrapper(pyarrow.fs.LocalFileSystem()), str(tmp_path / "root"))
