"""Which store ObjectStore() is inside a run."""

import os
from pathlib import Path

from tests.cases._case import case

from runstore import ObjectStore, object_store, run_context, run_workflow


@case("A5", "ObjectStore() in a stage is the run's store, and ObjectStore(ctx.store) opens it")
def store_of_the_run(folder: Path) -> None:
    os.environ["RUNSTORE_URL"] = str(folder / "another")

    def stage() -> int:
        ObjectStore().put("a", 1)
        value: int = object_store.get("a")
        return value

    workflow = {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": stage}]}}
    assert 1 == run_workflow(workflow, store=folder / "own").result
    with run_context(store=folder / "own") as ctx:
        ObjectStore(ctx.store).put("a", 2)
        assert 2 == object_store.get("a")
    assert not (folder / "another").exists()
