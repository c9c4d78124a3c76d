"""Many runs on one warm cluster: each in its own context, whatever its worker did before."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.engines.stages import workflow

from runstore import NoRunContextError, ObjectStore, get_run_context, object_store


def put() -> list[int]:
    """Put the run's name."""
    ctx = get_run_context()
    object_store.put("who", [ctx.definition.metadata.name, ctx.run.name])
    return [0, 1]


def put_item(index: int) -> list[str]:
    """Put the run's name for an item, and give what the first stage has put."""
    object_store.put(f"item/{index}", get_run_context().run.name)
    return [*object_store.get("who"), get_run_context().run.name]


def gather(found: list[list[str]]) -> list[list[str]]:
    """Give what the items gave."""
    return found


def flow(name: str) -> dict[str, Any]:
    return workflow(
        name,
        [
            {"name": "put", "target": put},
            {"name": "item", "target": put_item, "type": "parameterized"},
            {"name": "gather", "target": gather, "depends_on": "item"},
        ],
    )


@pytest.mark.extended
@pytest.mark.parametrize("runs", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_interleaved_runs(runs: int, engine: Any, store: ObjectStore) -> None:
    """Runs of two workflows at once on the same workers find and leave their own objects only."""

    def series(name: str) -> list[str]:
        names = [f"{name}-{number}" for number in range(runs)]
        for run in names:
            assert [[name, run, run]] * 2 == engine(flow(name), run=run).result
        return names

    with ThreadPoolExecutor(2) as pool:
        names = [name for part in pool.map(series, ["one", "two"]) for name in part]
    for name in names:
        view = store.at(namespace="default", run=name)
        assert ["item/0", "item/1", "who"] == [info.name for info in view.list()]
        workflow_name = name.partition("-")[0]
        assert [name, name, [workflow_name, name]] == [
            view.get(one) for one in ("item/0", "item/1", "who")
        ]
    assert sorted(names) == sorted(found.name for found in store.runs("default"))


FOLDER_FLOW = "{metadata: {name: w}, spec: {stages: [{name: a, target: warm_stages.value}]}}"


def test_each_folder_has_its_own_modules(engine: Any, tmp_path: Path) -> None:
    """Workers that have run one folder's module run another's of that name, and a changed one."""
    files = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "warm_stages.py").write_text(f"def value():\n    return {name!r}\n")
        (folder / "flow.yaml").write_text(FOLDER_FLOW)
        files.append(folder / "flow.yaml")
    assert ["one", "two", "one", "two"] == [engine(file).result for file in [*files, *files]]
    (tmp_path / "one" / "warm_stages.py").write_text("def value():\n    return 'one, edited'\n")
    assert ["one, edited", "two"] == [engine(file).result for file in files]


def outside() -> str:
    """Try to store outside any run."""
    try:
        object_store.put("stray", 1)
    except NoRunContextError as exc:
        return str(exc)
    return "stored"


@pytest.mark.xdist_group("dask")
def test_nothing_is_left_on_a_dask_worker(dask_client: Any, dask_cluster: str) -> None:
    """A task that is submitted past runstore, to workers that have run stages, has no run."""
    found = dask_client.gather([dask_client.submit(outside, pure=False) for _ in range(8)])
    assert {True} == {text.startswith("no workflow run here") for text in found}


@pytest.mark.usefixtures("ray_cluster")
def test_nothing_is_left_on_a_ray_worker() -> None:
    """A task that is submitted past runstore, to workers that have run stages, has no run."""
    import ray

    task = ray.remote(outside)
    found = ray.get([task.remote() for _ in range(8)])
    assert {True} == {text.startswith("no workflow run here") for text in found}
