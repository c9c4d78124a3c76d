"""A folder that may not be listed is named by verify() and audit(), and the rest is looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import runstore
from runstore import ObjectStore
from runstore.context import new_run
from runstore.errors import AccessDeniedError
from runstore.keys import record_key
from runstore.places import Wrapper


class Denying(Wrapper):
    """A place that refuses to list a folder, and what has it in it."""

    def __init__(self, backend, folder):
        super().__init__(backend)
        self._folder = folder

    def list(self, prefix):
        for entry in self._backend.list(prefix):
            if entry.key.startswith(self._folder):
                raise AccessDeniedError(f"{self._folder} may not be listed", self._folder)
            yield entry

    def folders(self, prefix):
        if prefix.startswith(self._folder):
            raise AccessDeniedError(f"{self._folder} may not be listed", self._folder)
        return self._backend.folders(prefix)


@pytest.fixture
def filled(tmp_path):
    """Give a store of three recorded runs; all have an object of their own, and one with parts."""
    store = ObjectStore(tmp_path / "store")
    for run in ("r1", "r2", "r3"):
        store.write_run(new_run("w", namespace="dev", name=run))
        view = store.at(namespace="dev", run=run)
        view.put("x", lambda: 1)
        view.put("deep/y", 1)
        view.put("parts", [1], part=1)
        view.seal("parts")
    store.at(namespace="dev").put("z", 1, scope="namespace")
    store.at(namespace="prod", run="p").put("x", 1)
    return store


def _seen(store, folder):
    """Return what verify and audit say of a folder, and how many objects there are beside it."""
    found = list(store.verify())
    bad = [(one.ref, one.damaged) for one in found if one.error is not None]
    audit = store.audit()
    named = [one.ref for one in audit.of("unreadable")]
    return bad, len(found), named, audit.objects


@pytest.mark.parametrize("folder", ["dev/r2/", "dev/r1/deep/", "dev/r3/.parts/", "dev/_runs/"])
def test_a_place_that_refuses_a_folder(filled, folder):
    """It is named; all that lies in other folders is found, and nothing twice.

    What lies beside it, directly in the run's folder, such a place cannot list: that is told.
    """
    before = len(list(filled.verify())), filled.audit().objects
    inside = {"dev/r2/": (3, 3), "dev/r1/deep/": (3, 3), "dev/r3/.parts/": (0, 0)}
    missing, objects = inside.get(folder, (3, 0))
    filled._objects.backend = Denying(filled.backend, folder)
    bad, checked, named, there = _seen(filled, folder)
    assert (f"{filled.backend.url}/{folder}", False) in bad
    assert folder in named
    assert ("dev/r1/" in named) == (folder == "dev/r1/deep/")
    assert (before[0] - missing, before[1] - objects) == (checked - len(bad), there)


_AS_NOBODY = """
import os, sys
import runstore.cli, runstore.store, runstore.context, runstore.settings, numpy, encodings.idna
from runstore import ObjectStore
from runstore.cli import main
store = ObjectStore(sys.argv[1])
list(store.verify()); store.audit(); main(["--store", sys.argv[1], "verify"])  # imports
os.chdir("/"); os.setuid(65534)
found = list(store.verify())
print("bad", [one.ref.rpartition("store/")[2] for one in found if one.error], len(found))
audit = store.audit()
print("named", [one.ref for one in audit.of("unreadable")], audit.objects, audit.records)
print("code", main(["--store", sys.argv[1], "verify"]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody to be denied")
def test_a_folder_of_another_user(filled, tmp_path):
    """The shell says `unchecked` of it, and ends with 1."""
    root = tmp_path / "store"
    for folder in (root, *list(root.parents)[:-1], *root.rglob("*")):
        folder.chmod(folder.stat().st_mode | 0o055)
    (root / "dev" / "r2").chmod(0o700)
    (root / "dev" / "r3" / "deep").chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(root)],
        env={**os.environ, "PYTHONPATH": str(Path(runstore.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert 0 == done.returncode, done.stderr
    assert "bad ['dev/r2/', 'dev/r3/deep/'] 12" in lines
    assert "named ['dev/r2/', 'dev/r3/deep/'] 7 3" in lines
    assert "code 1" in lines
    assert any(line.startswith("unchecked: ") and "dev/r2" in line for line in lines)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"name": "r1"}'])
def test_a_damaged_record_is_a_finding(filled, data):
    """One that is emptied or changed is named, of the store and of its run alone."""
    assert () == filled.audit().of("unreadable")
    key = record_key("dev", "r1")
    filled.backend.put(key, [data])
    for scope in ((), ("dev",), ("dev", "r1")):
        assert [key] == [one.ref for one in filled.audit(*scope).of("unreadable")]
    assert () == filled.audit("dev", "r2").of("unreadable")
