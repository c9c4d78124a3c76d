"""Stages that were written for Flowdapt run on runstore.compat.flowdapt."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstore import NoRunContextError, ObjectStore, run_context
from runstore.cli import main
from runstore.compat.flowdapt.compute import object_store
from runstore.compat.flowdapt.compute.artifacts import (
    check_if_artifact_exists,
    get_artifact,
    list_artifacts,
    new_artifact,
)
from runstore.compat.flowdapt.compute.artifacts.dataset import (
    array_from_artifact,
    array_to_artifact,
    dataframe_from_artifact,
    dataframe_to_artifact,
)
from runstore.compat.flowdapt.compute.artifacts.misc import (
    json_from_artifact,
    json_to_artifact,
    pickle_from_artifact,
    pickle_to_artifact,
)
from runstore.compat.flowdapt.compute.resources.workflow.context import (
    get_run_context,
    reset_run_context,
    set_run_context,
)
from runstore.compat.flowdapt.compute.resources.workflow.execute import execute_workflow
from runstore.compat.flowdapt.migrate import migrate
from runstore.errors import (
    InvalidRequestError,
    ObjectNotFoundError,
    UnsafePickleError,
)
from runstore.testing import assert_same


@pytest.fixture
def store(tmp_path: Any) -> ObjectStore:
    """Where the tests store."""
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def inside(store: ObjectStore) -> Iterator[None]:
    """In a run of the namespace ``fd``."""
    with run_context(namespace="fd", store=store):
        yield


@pytest.mark.usefixtures("inside")
class TestObjectStore:
    """`compute.object_store`: objects by key, in the namespace."""

    @pytest.mark.parametrize("strategy", [None, "artifact", "cluster_memory", "fallback"])
    def test_round_trip(self, strategy: Any) -> None:
        """Each strategy keeps a value; it can be deleted twice, as there."""
        frame = pd.DataFrame({"a": [1, 2]})
        object_store.put("frame", frame, strategy=strategy)
        assert_same(frame, object_store.get("frame", strategy=strategy))
        assert object_store.exists("frame", strategy=strategy)
        object_store.delete("frame", strategy=strategy)
        object_store.delete("frame", strategy=strategy)
        assert not object_store.exists("frame", strategy=strategy)

    def test_an_enum_is_a_strategy(self) -> None:
        """Flowdapt's enum and its values are alike, and other text is refused."""
        object_store.put("x", 1, strategy=object_store.Strategy.ARTIFACT)
        assert 1 == object_store.get("x", artifact_only=True)
        with pytest.raises(InvalidRequestError, match="'cluster_memory'"):
            object_store.put("x", 1, strategy="memory")

    def test_a_miss_is_both_errors(self) -> None:
        """Flowdapt raises KeyError or FileNotFoundError; here one error is both."""
        for key in ("nothing", "a/b c"):
            for kind in (KeyError, FileNotFoundError, ObjectNotFoundError):
                with pytest.raises(kind, match=key):
                    object_store.get(key)

    def test_keys_belong_to_the_namespace(self, store: ObjectStore) -> None:
        """Another run of the namespace finds the object, another namespace does not."""
        object_store.put("x", 1)
        with run_context(namespace="fd", store=store):
            assert 1 == object_store.get("x")
        with run_context(namespace="other", store=store):
            assert not object_store.exists("x")
            assert 1 == object_store.get("x", namespace="fd")

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_hooks_of_frames(self, kind: str) -> None:
        """A frame is kept in the files that the hook writes, in parts and in order."""
        frame = pd.DataFrame({"a": range(25)})
        object_store.put(
            "frame",
            frame,
            strategy="artifact",
            save_artifact_hook=dataframe_to_artifact(kind, num_parts=11),
        )
        names = {file.name for file in get_artifact("frame").list_files()}
        assert {f"partition-{i}.{kind}" for i in range(11)} == names
        found = object_store.get(
            "frame", strategy="artifact", load_artifact_hook=dataframe_from_artifact(kind)
        )
        assert list(range(25)) == list(found["a"])

    def test_other_hooks(self) -> None:
        """Arrays, JSON and pickles have hooks, too."""
        for value, save, load in (
            (np.arange(7), array_to_artifact(num_parts=3), array_from_artifact()),
            ({"a": [1]}, json_to_artifact(), json_from_artifact()),
            ({1, 2}, pickle_to_artifact(), pickle_from_artifact()),
        ):
            object_store.put("x", value, strategy="artifact", save_artifact_hook=save)
            assert_same(value, object_store.get("x", artifact_only=True, load_artifact_hook=load))
        with pytest.raises(InvalidRequestError, match="'pickle', and this hook loads 'json'"):
            object_store.get("x", artifact_only=True, load_artifact_hook=json_from_artifact())


@pytest.mark.usefixtures("inside")
class TestArtifacts:
    """`compute.artifacts`: files and metadata."""

    def test_files(self) -> None:
        """Files are made, written, read, listed and removed."""
        artifact = new_artifact("report")
        assert artifact.is_empty
        assert not artifact
        file = artifact.new_file("text.md", content="# Täxt")
        artifact.new_file("empty.parquet")
        assert "# Täxt" == file.read(mode="r")
        assert b"#" == file.read(1)
        with file.open("a") as opened:
            opened.write("\nmore")
        assert "# Täxt\nmore" == get_artifact("report").get_file("text.md").read().decode()
        assert ["empty.parquet", "text.md"] == [one.name for one in artifact]
        assert "text.md" in artifact
        artifact.delete_file("text.md")
        with pytest.raises(FileNotFoundError, match=r"has no file 'text\.md'"):
            artifact.get_file("text.md")
        assert b"" == artifact.get_file("new", create=True).read()

    def test_a_block_that_fails_writes_nothing(self) -> None:
        """The file stays as it was."""
        file = new_artifact("report").new_file("a.txt", "old")
        with pytest.raises(ZeroDivisionError), file.open("w") as opened:  # noqa: PT012
            opened.write("new")
            raise ZeroDivisionError
        assert b"old" == file.read()

    def test_metadata_is_a_mapping(self) -> None:
        """Values are set, read by others, and removed."""
        artifact = new_artifact("report")
        artifact["k"] = "v"
        get_artifact("report")["n"] = 1
        assert ("v", 1, None) == (artifact["k"], artifact["n"], artifact["other"])
        del artifact["k"]
        assert {"n": 1} == get_artifact("report").metadata
        with pytest.raises(KeyError):
            artifact.del_meta("k")

    def test_which_are_there(self) -> None:
        """Artifacts are listed, made once, and gone when they are deleted."""
        new_artifact("b").new_file("x", b"1")
        new_artifact("a")
        assert ["a", "b"] == [one.name for one in list_artifacts()]
        with pytest.raises(FileExistsError, match="'a' is there already"):
            new_artifact("a")
        artifact = get_artifact("b", create=True)
        artifact.clear()
        assert artifact.is_empty
        artifact.delete()
        assert not check_if_artifact_exists("b")
        assert not artifact.exists
        with pytest.raises(FileNotFoundError, match="no artifact 'b'"):
            get_artifact("b")
        with pytest.raises(ValueError, match="is no name of an artifact"):
            new_artifact("../b")

    def test_a_transaction(self) -> None:
        """What a block writes is seen in it, and by others at its end alone."""
        artifact = new_artifact("a")
        artifact.new_file("old", "1")
        with artifact.transaction():
            artifact.new_file("new", "2")
            artifact.delete_file("old")
            assert ["new"] == [one.name for one in artifact]
            assert ["old"] == [one.name for one in get_artifact("a")]
        assert ["new"] == [one.name for one in get_artifact("a")]

    def test_another_store(self, tmp_path: Any) -> None:
        """A protocol and a base path name another store."""
        path = str(tmp_path / "other")
        new_artifact("a", protocol="file", base_path=path).new_file("f", b"x")
        assert b"x" == get_artifact("a", base_path=path).get_file("f").read()
        assert not check_if_artifact_exists("a")


def test_pickles_obey_the_policy(tmp_path: Any) -> None:
    """A store that denies pickle neither writes nor loads any by a hook."""
    with run_context(store=ObjectStore(tmp_path, pickle="allow")):
        object_store.put("x", {1}, artifact_only=True, save_artifact_hook=pickle_to_artifact())
    with run_context(store=ObjectStore(tmp_path, pickle="deny")):
        with pytest.raises(UnsafePickleError, match="cannot load"):
            object_store.get("x", artifact_only=True, load_artifact_hook=pickle_from_artifact())
        with pytest.raises(UnsafePickleError, match="cannot store"):
            object_store.put("y", 1, artifact_only=True, save_artifact_hook=pickle_to_artifact())


def test_outside_a_run() -> None:
    """Nothing is made up."""
    with pytest.raises(NoRunContextError):
        object_store.put("x", 1)
    with pytest.raises(NoRunContextError):
        new_artifact("x")


def test_a_context_is_set_and_reset(store: ObjectStore) -> None:
    """Contexts nest, and the outer one is current again."""
    with run_context(namespace="inner", store=store) as ctx:
        pass
    token = set_run_context(ctx)
    assert "inner" == get_run_context().namespace
    reset_run_context(token)
    with pytest.raises(NoRunContextError):
        get_run_context()


def test_execute_workflow(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is awaited, takes lambdas and the short shape, and gives the record or the result."""
    monkeypatch.setenv("RUNSTORE_URL", store.url)

    def numbers(n: int) -> list[int]:
        object_store.put("n", n)
        return list(range(n))

    flow = {
        "name": "test",
        "stages": [
            {"name": "one", "target": numbers},
            {"name": "two", "target": lambda x: x * 2, "depends_on": ["one"]},
        ],
    }
    options = {"namespace": "fd", "cpus": 2, "use_processes": False}
    result = asyncio.run(execute_workflow(flow, input={"n": 2}, return_result=True, **options))
    assert [0, 1, 0, 1] == result
    record = asyncio.run(execute_workflow(flow, input={"n": 2}, **options))
    assert ("finished", "fd") == (record.state, record.namespace)
    assert 2 == store.at(namespace="fd").get("n", scope="namespace")

    flow["stages"] = [{"name": "one", "target": lambda: 1 / 0}]
    assert "failed" == asyncio.run(execute_workflow(flow)).state
    with pytest.raises(ZeroDivisionError):
        asyncio.run(execute_workflow(flow, return_result=True))


class TestMigrate:
    """What Flowdapt has stored is taken over."""

    @pytest.fixture
    def base(self, tmp_path: Any) -> Any:
        """A folder as Flowdapt writes it."""
        for namespace, name, meta, files in (
            ("prod", "model", {"value_type": "object"}, {"object": b"\x80\x04K\x07."}),
            ("prod", "table", {"value_type": "x"}, {"partition-0.csv": b"a\n1\n", "b.txt": b""}),
            ("dev", "empty", None, {}),
        ):
            folder = tmp_path / "fd" / "artifacts" / namespace / name
            folder.mkdir(parents=True)
            text = b"" if meta is None else json.dumps(meta).encode()
            (folder / ".artifact.json").write_bytes(text)
            for file, data in files.items():
                (folder / file).write_bytes(data)
        return tmp_path / "fd"

    def test_a_tree(self, base: Any, store: ObjectStore) -> None:
        """Files and metadata are the same, and the object store loads Flowdapt's pickles."""
        done = list(migrate(base, store))
        assert [("dev", "empty", 0), ("prod", "model", 1), ("prod", "table", 2)] == [
            one[:3] for one in done
        ]
        with run_context(namespace="prod", store=store):
            assert 7 == object_store.get("model")
            table = get_artifact("table")
            assert {"value_type": "x"} == table.metadata
            assert b"a\n1\n" == table.get_file("partition-0.csv").read()

    def test_it_can_be_repeated(self, base: Any, store: ObjectStore) -> None:
        """What is there already stays; what is damaged is told, and the rest goes on."""
        (base / "artifacts/prod/model/.artifact.json").write_text("{")
        assert [None, True, None] == [
            one.skipped and "not JSON" in one.skipped for one in migrate(base / "artifacts", store)
        ]
        assert 2 == sum("one of that name" in str(one.skipped) for one in migrate(base, store))

    def test_nothing_there(self, tmp_path: Any, store: ObjectStore) -> None:
        """A folder without artifacts is refused, with what is looked for."""
        with pytest.raises(InvalidRequestError, match=r"storage\.base_path"):
            list(migrate(tmp_path, store))

    def test_in_a_shell(self, base: Any, store: ObjectStore, capsys: Any) -> None:
        """`runstore migrate flowdapt PATH` tells of each artifact, as text or JSON."""
        command = ["migrate", "flowdapt", str(base), "--store", store.url]
        assert 0 == main(command)
        assert "prod/table: 2 files" in capsys.readouterr().out
        assert 0 == main([*command, "--json"])
        told = json.loads(capsys.readouterr().out)["artifacts"]
        assert [True] * 3 == ["one of that name" in one["skipped"] for one in told]
        assert 2 == main(["migrate", "flowdapt", str(base / "nowhere")])
