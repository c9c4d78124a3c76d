"""Folders: all files or none, with paths and permissions, and nothing outside of the goal."""

import os
import stat
import threading
import uuid

import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, STORES, open_store

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedFormatError,
)
from runstore.keys import Place
from runstore.objects import read_seal, seal_header, write_seal
from runstore.places import Wrapper
from runstore.seals import Sealed

FILES = {
    "README.md": b"# Model\r\n",
    "weights/a.bin": os.urandom(3 << 20),
    "weights/b.bin": b"",
    "weights/deep/er/c.json": b"{}",
    "run.sh": b"#!/bin/sh\n",
    "é %41/x y.txt": b"text",
    ".hidden/.git/config": b"[core]",
    "a.b": b"file",
    "a/b": b"file in a folder",
}


@pytest.fixture(params=STORES)
def view(request, tmp_path):
    """Give an empty view at each place."""
    if request.param in ENGINES:
        store = open_store(request.getfixturevalue("moto_server"), request.param)
    elif request.param == "memory":
        store = ObjectStore(f"memory://{uuid.uuid4()}")
    else:
        store = ObjectStore(tmp_path / "store")
    return store.at(namespace="n", run="r")


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="n", run="r")


def make(root, files=FILES):
    """Write files below a folder."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def tree(root):
    """Give every file below a folder with its contents, and every empty folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


@pytest.mark.extended
def test_a_folder_goes_in_and_out(view, tmp_path):
    """All files come back with their paths and permissions, and so do empty folders."""
    source = make(tmp_path / "source")
    (source / "empty" / "folder").mkdir(parents=True)
    (source / "run.sh").chmod(0o751)
    (source / "README.md").chmod(0o440)
    told = []
    info = view.put_dir(
        "model", source, metadata={"k": 1}, progress=lambda *step: told.append(step)
    )
    size = sum(map(len, FILES.values()))
    assert ("model", {"k": 1}, size) == (info.name, info.metadata, info.nbytes)
    assert (size, size) == told[-1]
    assert ["model"] == [info.name for info in view.list()]
    told.clear()
    done = view.get_dir("model", tmp_path / "new" / "goal", progress=lambda *s: told.append(s))
    assert tmp_path / "new" / "goal" == done
    assert FILES | {"empty/folder/": b""} == tree(done)
    assert (size, size) == told[-1]
    assert [0o751, 0o440] == [
        stat.S_IMODE((done / name).stat().st_mode) for name in ("run.sh", "README.md")
    ]
    assert ["goal"] == os.listdir(tmp_path / "new")
    assert sorted(FILES | {"empty/folder/": b""}) == sorted(i.part for i in view.parts("model"))
    with pytest.raises(UnsupportedFormatError, match=r"folder of 10 files.*get_dir\(name, path\)"):
        view.get("model")
    assert FILES["a/b"] == view.get("model", part="a/b", as_type=bytes)
    with pytest.raises(InvalidRequestError, match=r"is a file of a folder: .*as_type=bytes"):
        view.get("model", part="a/b")
    view.copy("model", to_name="copy")
    view.delete("model")
    view.get_dir("copy", tmp_path / "second")
    assert FILES | {"empty/folder/": b""} == tree(tmp_path / "second")


def test_a_folder_and_parts_do_not_replace_each_other(view, tmp_path):
    """Neither is lost by a name that is used twice; who wants it so deletes the old one first."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a").write_text("a")
    view.put_dir("x", tmp_path / "source")
    info = view.put("x", pa.table({"a": [1]}), part=1)
    for parts in (None, [info], [1]):
        with pytest.raises(InvalidRequestError, match=r"is a folder.*delete\(\) it first"):
            view.seal("x", parts)
    assert {"a": b"a"} == tree(view.get_dir("x", tmp_path / "again"))
    view.put("y", pa.table({"a": [1]}), part=1)
    view.seal("y")
    with pytest.raises(InvalidRequestError, match=r"an object of parts.*delete\(\) it first"):
        view.put_dir("y", tmp_path / "source")
    assert [1] == view.get("y")["a"].to_pylist()
    view.delete("y")
    view.put_dir("y", tmp_path / "source")
    assert "folder" == view.stat("y").python_type


def test_a_folder_is_replaced_as_a_whole(disk, tmp_path):
    """A second put_dir is the new folder alone; nothing of the old one is in it."""
    disk.put_dir("d", make(tmp_path / "a", {"x": b"1", "y": b"1"}))
    disk.put_dir("d", make(tmp_path / "b", {"x": b"2", "z/w": b"2"}))
    assert {"x": b"2", "z/w": b"2"} == tree(disk.get_dir("d", tmp_path / "out"))
    with pytest.raises(ObjectExistsError):
        disk.put_dir("d", tmp_path / "a", if_absent=True)
    disk.put("d", 1)
    assert 1 == disk.get("d")
    assert 4 == disk.store.sweep(older_than=0)
    assert [] == list((tmp_path / "store" / "n" / "r" / ".parts").rglob("*.file"))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (None, None, set(FILES)),
        ("*.bin", None, {"weights/a.bin", "weights/b.bin"}),
        ("weights", None, {"weights/a.bin", "weights/b.bin", "weights/deep/er/c.json"}),
        ("weights/*", "weights/deep", {"weights/a.bin", "weights/b.bin"}),
        (["a", "*.md"], None, {"a/b", "README.md"}),
        ("**/er/*", None, {"weights/deep/er/c.json"}),
        ("weights/**", ["?.bin"], {"weights/deep/er/c.json"}),
        (None, [".git", "*.bin", "é*", "deep/", "a", "a.b"], {"README.md", "run.sh"}),
    ],
)
def test_only_some_of_the_files(disk, tmp_path, include, exclude, expected):
    """Patterns choose files where they are stored, and where they are written, in the same way."""
    source = make(tmp_path / "source")
    disk.put_dir("some", source, include=include, exclude=exclude)
    assert expected == set(tree(disk.get_dir("some", tmp_path / "some")))
    disk.put_dir("all", source)
    out = disk.get_dir("all", tmp_path / "out", include=include, exclude=exclude)
    assert expected == set(tree(out))


def test_links_are_refused_or_followed(disk, tmp_path):
    """A symbolic link is refused by name; on request what it leads to is stored."""
    source = make(tmp_path / "source", {"a/x": b"1"})
    make(tmp_path / "other", {"secret": b"2"})
    (source / "link").symlink_to(tmp_path / "other")
    (source / "a" / "one").symlink_to(tmp_path / "other" / "secret")
    with pytest.raises(InvalidRequestError, match=r"symbolic link: .*symlinks='follow'.*exclude="):
        disk.put_dir("d", source)
    disk.put_dir("d", source, exclude=["link", "one"])
    assert {"a/x": b"1"} == tree(disk.get_dir("d", tmp_path / "one"))
    disk.put_dir("d", source, symlinks="follow")
    expected = {"a/x": b"1", "a/one": b"2", "link/secret": b"2"}
    assert expected == tree(disk.get_dir("d", tmp_path / "two"))
    (source / "loop").symlink_to(source)
    with pytest.raises(InvalidRequestError, match="'loop' is a link to a folder that it lies in"):
        disk.put_dir("d", source, symlinks="follow")
    (source / "loop").unlink()
    (source / "gone").symlink_to("nowhere")
    with pytest.raises(InvalidRequestError, match="gone"):
        disk.put_dir("d", source, symlinks="follow")


def test_what_cannot_be_stored_is_refused_before_anything_is(disk, tmp_path):
    """No folder, a pipe, a name that is no text: an error that names it, and nothing is stored."""
    source = make(tmp_path / "source", {"a": b"1"})
    for path, said in [
        ("none", "is not there"),
        (300 * "é", "is not there"),
        ("source/a", "is no folder: use put_file"),
    ]:
        with pytest.raises(InvalidRequestError, match=said):
            disk.put_dir("d", tmp_path / path)
    os.mkfifo(source / "pipe")
    with pytest.raises(InvalidRequestError, match="'pipe' is no regular file"):
        disk.put_dir("d", source)
    disk.put_dir("pipes", source, exclude="pipe")
    (source / "pipe").unlink()
    (source / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(InvalidRequestError, match="is not UTF-8"):
        disk.put_dir("d", source)
    with pytest.raises(InvalidRequestError, match=r"one \.html file"):
        disk.put_dir("d.html", source)
    with pytest.raises(InvalidNameError, match="too long for a folder"):
        disk.put_dir("d" * 300, source)
    assert ["pipes"] == [info.name for info in disk.list()]


def test_where_a_folder_is_written(disk, tmp_path):
    """It needs a place where nothing is; else, or without room, nothing is changed."""
    disk.put_dir("d", make(tmp_path / "source", {"a": b"1"}))
    disk.put("x", 1)
    (tmp_path / "empty").mkdir()
    assert {"a": b"1"} == tree(disk.get_dir("d", tmp_path / "empty"))
    with pytest.raises(InvalidRequestError, match="exists already"):
        disk.get_dir("d", tmp_path / "empty")
    with pytest.raises(InvalidRequestError, match=r"is no folder: read it with get\(name\)"):
        disk.get_dir("x", tmp_path / "x")
    with pytest.raises(ObjectNotFoundError, match="none"):
        disk.get_dir("none", tmp_path / "x")
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(InvalidRequestError, match="exists already"):
        disk.get_dir("d", tmp_path / "link")
    (tmp_path / "link").unlink()
    with pytest.raises((StorageError, InvalidRequestError)):
        disk.get_dir("d", tmp_path / "source" / "a" / "below")
    assert {"store", "source", "empty"} == set(os.listdir(tmp_path))


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "a/../../x", "..", ".", "a//b", "", "a/", "a\0b", "a/./b", ("a", "b"), 1],
)
def test_a_forged_folder_cannot_escape(disk, tmp_path, path):
    """A seal that names a path outside of the folder, or none, is refused; nothing is written."""
    disk.put_dir("d", make(tmp_path / "source", {"a": b"1", "z": b"2"}))
    objects, place = disk._target().objects, Place("n", "r", "d")
    sealed, _ = read_seal(objects, place)
    forged = sealed.parts[1]
    object.__setattr__(forged, "part", path)
    parts = (forged, sealed.parts[0]) if isinstance(path, int) else sealed.parts
    parts = tuple(sorted(parts, key=lambda one: (isinstance(one.part, tuple), str(one.part))))
    write_seal(objects, place, Sealed("folder", parts, None, "file"), seal_header(place, "folder"))
    with pytest.raises(CorruptObjectError):
        disk.get_dir("d", tmp_path / "out" / "d")
    assert {"store", "source"} == set(os.listdir(tmp_path))


def test_damage_is_found(disk, tmp_path):
    """A changed or missing file is damage, for `get_dir` and for `verify`; nothing is written."""
    disk.put_dir("d", make(tmp_path / "source", {"a": b"1", "z": b"2"}))
    (stored,) = (tmp_path / "store").rglob("tz.*.file")
    for change in (lambda: stored.write_bytes(b"3"), stored.unlink):
        change()
        with pytest.raises(CorruptObjectError, match=r"'z'|is missing"):
            disk.get_dir("d", tmp_path / "out")
        assert [True] == [one.damaged for one in disk.store.verify("n", "r")]
    assert {"a": b"1"} == tree(disk.get_dir("d", tmp_path / "some", include="a"))
    assert {"store", "source", "some"} == set(os.listdir(tmp_path))


def test_a_folder_that_fails_half_way_leaves_nothing(disk, tmp_path):
    """If a file cannot be stored, the old folder stays, and no file of the new one is left."""
    disk.put_dir("d", make(tmp_path / "a", {"x": b"1"}))
    source = make(tmp_path / "b", {f"file-{i}": b"2" for i in range(20)})

    class Failing(Wrapper):
        count = 0

        def put(self, key, buffers, **how):
            self.count += 1
            if self.count == 10:
                raise StorageError("no")
            return self._backend.put(key, buffers, **how)

    objects = disk.store._now
    objects.backend, right = Failing(objects.backend), objects.backend
    with pytest.raises(StorageError, match=r"^no$"):
        disk.put_dir("d", source)
    objects.backend = right
    assert {"x": b"1"} == tree(disk.get_dir("d", tmp_path / "out"))
    deadline = threading.Event()
    while len(left := list((tmp_path / "store").rglob("*.file"))) > 1 and not deadline.wait(0.1):
        assert len(left) < 20
        disk.store.sweep(older_than=0)
