"""Causes that are known before the run, and descriptors that run out."""

import os
import resource
from pathlib import Path

from tests.cases._case import case

from runstore import ObjectStore, run_workflow
from runstore.errors import InvalidRequestError


@case("B2", "A memory store of a process without descriptors puts and gets large values")
def without_descriptors(folder: Path) -> None:
    view = ObjectStore("memory://x").at(namespace="n", run="r")
    for i in range(10):
        view.put(f"before-{i}", bytes([i]) * 300_000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, most))
    for i in range(10):
        view.put(f"after-{i}", bytes([i]) * 300_000)
    for when in ("before", "after"):
        got = [view.get(f"{when}-{i}") for i in range(10)]
        assert [bytes([i]) * 300_000 for i in range(10)] == got


@case("B5", "A store with key= and secret= is refused for processes, Dask and Ray")
def credentials_for_processes(folder: Path) -> None:
    def stage() -> None:
        (folder / "ran").touch()

    workflow = {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": stage}]}}
    store = ObjectStore("s3://b/p", key="k", secret="hidden", endpoint_url="http://127.0.0.1:1")
    engines = [("local", {"mode": "processes"}), ("dask", None), ("ray", None)]
    for executor, options in engines:
        try:
            run_workflow(workflow, store=store, executor=executor, executor_options=options)
        except InvalidRequestError as exc:
            told = str(exc)
        assert "AWS_ACCESS_KEY_ID" in told
        assert "profile=" in told
        assert "hidden" not in told
    assert not (folder / "ran").exists()
