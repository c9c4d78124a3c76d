"""`cp`, `mv` and `tree`."""

import json

import pytest


@pytest.fixture
def view(disk):
    found = disk.at(namespace="a", run="r1")
    for name in ("model", "train/x", "train/y", "training"):
        found.put(name, {"name": name})
    return found


def names(store, run, namespace="a", **how):
    return [info.name for info in store.at(namespace=namespace, run=run).list(**how)]


def test_one_object_is_copied(cli, disk, view):
    """Under a new name, the same name, into a folder, another run, namespace or scope."""
    for target in ("a/r1/best", "a/r2", "a/r2/kept/", "b/r1/", "a/_shared/model"):
        assert 0 == cli("cp", "a/r1/model", target).code
    assert {"name": "model"} == disk.at(namespace="a", run="r1").get("best")
    assert ["kept/model", "model"] == names(disk, "r2")
    assert ["model"] == names(disk, "r1", "b")
    assert ["model"] == names(disk, None, scope="namespace")


def test_many_are_copied(cli, disk, view):
    """With -r a folder without its namesakes, or all of a run; --json tells each."""
    ended = cli("cp", "-r", "a/r1/train", "a/r2/old", "--json")
    assert ["old/x", "old/y"] == names(disk, "r2")
    first = json.loads(ended.out)["copied"][0]
    assert ("a/r1/train/x", "a/r2/old/x") == (first["from"], first["ref"])
    assert 0 == cli("cp", "-r", "a/r1", "a/r3").code
    assert names(disk, "r1") == names(disk, "r3")


def test_moved_objects_are_gone_where_they_were(cli, disk, view):
    """`mv` removes the source after the copy, of one object and of many."""
    assert 0 == cli("mv", "a/r1/model", "a/_shared/").code
    assert 0 == cli("mv", "-r", "a/r1/train", "b/r9/").code
    assert ["training"] == names(disk, "r1")
    assert ["train/x", "train/y"] == names(disk, "r9", "b")


def test_nothing_is_removed_if_a_copy_fails(cli, disk, view):
    """A target that is taken stops `mv --if-absent` before anything is gone."""
    disk.at(namespace="a", run="r2").put("train/y", 1)
    assert 4 == cli("mv", "-r", "a/r1/train", "a/r2", "--if-absent").code
    assert ["model", "train/x", "train/y", "training"] == names(disk, "r1")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["cp", "a/r1/model", "a/r1/model"], 2),
        (["mv", "a/r1/model", "a/r1/"], 2),
        (["mv", "-r", "a/r1", "a/r1"], 2),
        (["cp", "a/r1", "a/r2"], 2),
        (["cp", "a", "b"], 2),
        (["cp", "a/r1/none", "a/r2"], 3),
        (["cp", "-r", "a/r1/none", "a/r2"], 3),
    ],
)
def test_mistakes_are_told_and_touch_nothing(cli, disk, view, words, code):
    """Same source and target, runs without -r, whole namespaces and missing objects."""
    ended = cli(*words)
    assert code == ended.code
    assert ended.err.startswith("error: ")
    assert ["model", "train/x", "train/y", "training"] == names(disk, "r1")


def test_the_tree_of_a_store(cli, disk, view):
    """Namespaces, runs and the folders of names are drawn, an object beside its folder, too."""
    view.put("train", 1)
    lines = cli("tree").out.splitlines()
    shown = [line.split("  ")[0] if "── " not in line else line for line in lines]
    assert "└── a" == shown[1]
    assert "    └── r1" == shown[2]
    assert "        ├── train/" in shown
    assert any(line.startswith("        │   └── y  ") for line in lines)
    assert any(line.startswith("        ├── train  ") for line in lines)
    assert "└── r1  (5 objects)" == cli("tree", "a", "--depth", "1").out.splitlines()[1]
    assert 3 == cli("tree", "nothing").code
    assert "train/" in cli("tree", "a/r1/tr").out


@pytest.mark.parametrize("command", ["cp", "mv"])
def test_a_folder_does_not_go_into_itself(cli, disk, view, command):
    """Nothing is written over what is still to be copied; what does not meet may go there."""
    view.put("train", {"name": "train"})
    for name in ("train/z", "train/z/old"):
        view.put(name, {"name": name})
    before = {name: view.get(name) for name in names(disk, "r1")}
    ended = cli(command, "-r", "a/r1/train", "a/r1/train/z")
    assert 2 == ended.code
    assert "lies within" in ended.err
    assert before == {name: view.get(name) for name in names(disk, "r1")}
    assert 0 == cli(command, "-r", "a/r1/train", "a/r1/train/new").code
    assert {"name": "train/z/old"} == view.get("train/new/z/old")
    assert {"name": "train"} == view.get("train/new")


def test_what_is_put_meanwhile_is_not_removed(cli, disk, view, monkeypatch):
    """`mv` removes the version that it has copied, and says what it leaves."""
    real = type(view).copy

    def copy(self, name, **how):
        info = real(self, name, **how)
        if name == "train/x":
            view.put(name, "newer")
        return info

    monkeypatch.setattr(type(view), "copy", copy)
    ended = cli("mv", "-r", "a/r1/train", "a/r2/")
    assert "a/r1/train/x was put again meanwhile" in ended.err
    assert ["model", "train/x", "training"] == names(disk, "r1")
    assert "newer" == view.get("train/x")
    assert {"name": "train/x"} == disk.at(namespace="a", run="r2").get("train/x")
