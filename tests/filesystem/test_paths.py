"""What is at a path: objects are files; namespaces, runs and prefixes are folders."""

import pyarrow as pa
import pytest
from fsspec import filesystem

from runstore.errors import InvalidNameError, StorageError

NAMES = ["a", "a/b", "a/c/d.json", "é ü/100 %.json", "n" * 300, "x.parquet", "x=1/y:z+2"]


@pytest.fixture
def filled(store, fs):
    """Give the filesystem of a store with objects in two namespaces."""
    view = store.at(namespace="dev", run="r1")
    for name in NAMES:
        view.put(name, pa.table({"k": [name]}) if name.endswith(".parquet") else [name])
    view.put("model", 1, scope="namespace")
    store.at(namespace="other", run="2026-01-01T00:00:00+00:00").put("z", 1)
    return fs


def test_every_object_has_a_path(filled):
    """find() lists each object under its own name, whatever is in it; info() describes it."""
    paths = sorted(f"dev/r1/{name}" for name in NAMES)
    others = ["dev/_shared/model", "other/2026-01-01T00:00:00+00:00/z"]
    assert paths == filled.find("dev/r1") == filled.find("runstore://dev/r1/")
    assert sorted(paths + others) == filled.find("")
    for path in paths:
        info = filled.info(path)
        assert (path, "file", len(filled.cat_file(path))) == (
            info["name"], info["type"], info["size"],
        )  # fmt: skip
        assert filled.isfile(path)
        assert filled.exists(f"runstore://{path}")
    assert filled.find("dev/r1", detail=True)["dev/r1/x.parquet"] == filled.info("dev/r1/x.parquet")


def test_folders_are_where_objects_are(filled):
    """ls() shows one level; a path may be an object and the folder of others."""
    assert ["dev", "other"] == filled.ls("", detail=False)
    assert ["dev/_shared", "dev/r1"] == filled.ls("dev", detail=False)
    here = [(info["name"], info["type"]) for info in filled.ls("dev/r1")]
    assert [("dev/r1/a", "directory"), ("dev/r1/a", "file")] == here[:2]
    assert ["dev/r1/a/b", "dev/r1/a/c"] == filled.ls("dev/r1/a", detail=False)
    assert ["dev/r1/x.parquet"] == filled.ls("dev/r1/x.parquet", detail=False)
    for folder in ("", "dev", "dev/r1", "dev/r1/a/c", "dev/_shared"):
        assert "directory" == filled.info(folder)["type"]
        assert filled.isdir(folder)
        assert not filled.isfile(folder)
    assert "file" == filled.info("dev/r1/a")["type"]
    assert ["dev/r1/a", "dev/r1/a/c"] == sorted(
        name for name, info in filled.find("dev/r1/a", withdirs=True, detail=True).items()
        if info["type"] == "directory" or name == "dev/r1/a"
    )  # fmt: skip


def test_patterns_match_within_a_level_or_over_all(filled):
    """glob() has fsspec's patterns."""
    assert ["dev/r1/x.parquet"] == filled.glob("dev/r1/*.parquet")
    assert ["dev/r1/a/c/d.json", "dev/r1/é ü/100 %.json"] == filled.glob("dev/**/*.json")
    assert ["dev/_shared/model"] == filled.glob("*/_shared/*")
    assert filled.du("dev/_shared") == filled.info("dev/_shared/model")["size"]


def test_what_is_not_there_is_not_found(filled):
    """A miss is FileNotFoundError everywhere, and False where that is asked."""
    for path in ("dev/r1/none", "dev/r9", "none", "dev/r1/a/b/c"):
        assert not filled.exists(path)
        assert not filled.isdir(path)
        assert [] == filled.find(path)
        for call in (filled.info, filled.ls, filled.rm, filled.modified):
            with pytest.raises(FileNotFoundError, match=path):
                call(path)
    for call in (filled.open, filled.cat_file, filled.rm_file):
        with pytest.raises(FileNotFoundError, match="dev/r1/none"):
            call("dev/r1/none")
    with pytest.raises(FileNotFoundError, match="none"):
        filled.cp_file("dev/r1/none", "dev/r1/x")
    with pytest.raises(InvalidNameError, match="<namespace>/<run>/<name>"):
        filled.open("dev/r1")
    with pytest.raises(InvalidNameError, match="_runs"):
        filled.cat_file("dev/_runs/r1.json")


def test_removed_and_copied(filled, store):
    """rm() takes objects, and folders only when told to; cp() and mv() keep the value."""
    with pytest.raises(IsADirectoryError, match="recursive"):
        filled.rm("dev/r1/a/c")
    with pytest.raises(OSError, match="objects"):
        filled.rmdir("dev/r1/a/c")
    filled.rm("dev/r1/a/c", recursive=True)
    filled.rmdir("dev/r1/a/c")
    assert not filled.exists("dev/r1/a/c")
    filled.cp("dev/r1/a", "dev/_shared/promoted")
    filled.mv("dev/r1/a/b", "other/new/b")
    assert ["a"] == store.at(namespace="dev").get("promoted", scope="namespace")
    assert ["a/b"] == store.at(namespace="other", run="new").get("b")
    assert not filled.exists("dev/r1/a/b")
    filled.rm("other", recursive=True)
    assert ["dev"] == store.namespaces()


def test_an_outage_is_no_miss(moto_server):
    """Where fsspec's own methods would say "no", an outage is raised, by whatever asks."""
    from tests.places.s3_ import options

    dead = options(moto_server) | {"endpoint_url": "http://127.0.0.1:9"}
    fs = filesystem("runstore", store="s3://bucket/p", timeout=0.2, **dead)
    for call in (fs.exists, fs.isfile, fs.isdir, fs.info, fs.find, fs.glob, fs.ls, fs.rm):
        with pytest.raises(StorageError):
            call("dev/r1/x")
