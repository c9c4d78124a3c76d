import itertools
import shutil
import tempfile

from hypothesis import settings

from runstore import ObjectStore
from runstore.testing import StoreMachine

_numbers = itertools.count()


class MemoryMachine(StoreMachine):
    """Two stores on one place in memory."""

    def open_stores(self):
        url = f"memory://machine-{next(_numbers)}"
        return ObjectStore(url), ObjectStore(url)


class LocalMachine(StoreMachine):
    """Two stores on one folder."""

    def open_stores(self):
        self.folder = tempfile.mkdtemp()
        return ObjectStore(self.folder), ObjectStore(self.folder)

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=30)
TestLocal = LocalMachine.TestCase
TestLocal.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=30)
