"""A file that is read is one version of an object, whatever is written meanwhile."""

import pickle

import numpy as np
import pandas as pd
import pytest
from tests.places.s3_ import ENGINES, options

from runstore import ObjectStore
from runstore.errors import InvalidRequestError, PreconditionFailedError
from runstore.filesystem import RunstoreFileSystem

MIB = 1 << 20


def random_text(size, seed):
    return np.random.default_rng(seed).bytes(size // 2).hex()


@pytest.fixture(params=[100, 3 * MIB], ids=["small", "large"])
def big(request, store):
    """Give a view with an object of this size, its bytes, and the filesystem."""
    view = store.at(namespace="dev", run="r1")
    view.put("x", random_text(request.param, 1))
    fs = RunstoreFileSystem(store.url)
    return view, fs.cat_file("dev/r1/x"), fs


def test_ranges_are_those_of_python(big):
    """cat_file() takes start and end as a slice does, and so does a file that is read."""
    _, content, fs = big
    size = len(content)
    for start in (None, 0, 1, 50, size - 8, size, size + 5, -1, -60, -size - 9):
        for end in (None, 0, 7, 51, size - 1, size, size + 5, -1, -50):
            assert content[start:end] == fs.cat_file("dev/r1/x", start, end), (start, end)
    with fs.open("dev/r1/x") as file:
        assert (size, True, True, False) == (
            file.size, file.readable(), file.seekable(), file.writable(),
        )  # fmt: skip
        assert content[:10] == file.read(10)
        file.seek(-20, 2)
        assert (content[-20:-15], size - 15) == (file.read(5), file.tell())
        file.seek(0)
        assert content == b"".join(file)  # line by line
        file.seek(3)
        assert content[3:] == file.read()
        assert b"" == file.read(1)
    assert content[:5] == fs.head("dev/r1/x", 5)
    assert [content[1:3], content[-4:]] == fs.cat_ranges(["dev/r1/x"] * 2, [1, -4], [3, None])


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_an_open_file_goes_on_with_its_version(big, change):
    """Near, an object that is replaced or deleted is read to its end all the same."""
    view, content, fs = big
    with fs.open("dev/r1/x") as file:
        first = file.read(10)
        if change == "replaced":
            view.put("x", random_text(len(content) // 2, 2))
        else:
            view.delete("x")
        assert content == first + file.read()
        file.seek(0)
        assert content == file.read()


def test_a_file_is_the_same_in_another_process(big):
    """An open file pickles as its path, position and version; no other version is taken for it."""
    view, content, fs = big
    with fs.open("dev/r1/x") as file:
        file.seek(7)
        assert content[7:] == pickle.loads(pickle.dumps(file)).read()
        view.put("x", 2)
        with pytest.raises(PreconditionFailedError, match="dev/r1/x"):
            pickle.loads(pickle.dumps(file))


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_far_away_no_two_versions_are_mixed(moto_server, engine):
    """On S3 a replaced object is read as far as it is here; more of it is refused."""
    store = ObjectStore(f"s3://{moto_server.new_bucket()}/p", engine=engine, **options(moto_server))
    view = store.at(namespace="dev", run="r1")
    view.put("x", random_text(12 * MIB, 1))
    fs = RunstoreFileSystem(store.url, engine=engine, **options(moto_server))
    content = fs.cat_file("dev/r1/x")
    assert content[5:99] == fs.cat_file("dev/r1/x", 5, 99)
    with fs.open("dev/r1/x") as file, fs.open("dev/r1/x") as other:
        assert content[:10] == file.read(10)
        view.put("x", random_text(12 * MIB, 2))
        file.seek(-100, 2)
        assert content[-100:] == file.read()  # came with the first request
        file.seek(8 * MIB)
        with pytest.raises(PreconditionFailedError, match="dev/r1/x"):
            file.read(10)
        view.delete("x")
        with pytest.raises(FileNotFoundError, match="dev/r1/x"):
            other.read()


def test_a_small_object_far_away_is_one_request(seaweed_server):
    """open() and read() of up to a mebibyte, or of the end of an object, are one request."""
    bucket = seaweed_server.new_bucket()
    fs = RunstoreFileSystem(f"s3://{bucket}/p", **options(seaweed_server))
    view = ObjectStore(fs.address).at(namespace="dev", run="r1")
    view.put("x", pd.DataFrame({"a": range(1000)}))
    before = seaweed_server.requests(bucket)
    with fs.open("dev/r1/x") as file:
        pd.read_feather(file)
    assert 1 == (seaweed_server.requests(bucket) - before).total()


@pytest.mark.parametrize("rows", [1, 100])
def test_a_sealed_object_is_no_file(store, rows, tmp_path):
    """Its file is a seal, which no reader asked for: it is refused, with the way to the rows."""
    view = store.at(namespace="dev", run="r1")
    wide = {f"{'c' * 200}{n}": np.arange(3) for n in range(rows * 5)}  # a long footer
    view.put("x", pd.DataFrame(wide), part=1)
    view.seal("x")
    fs = RunstoreFileSystem(store.url)
    for call in (
        lambda: fs.open("dev/r1/x"),
        lambda: fs.cat_file("dev/r1/x"),
        lambda: fs.cat_file("dev/r1/x", 1, 2),
        lambda: fs.get_file("dev/r1/x", str(tmp_path / "goal")),
    ):
        with pytest.raises(InvalidRequestError, match="made of parts"):
            call()
    assert not (tmp_path / "goal").exists()
