"""run_workflow: what stages are given, what they see, what comes back."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, get_run_context, object_store
from runstore.context import Config, Workflow
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    InvalidWorkflowError,
    MissingInputError,
    ObjectExistsError,
    StageError,
    UnusedConfigWarning,
)
from runstore.workflows import run_workflow


def test_result_of_the_last_stage(run: Any, flow: Any) -> None:
    """The run's result is what the last stage of the definition returned."""
    record = run(flow(one=lambda: 1, two=(lambda n: n + 1, {"depends_on": ["one"]})))
    assert "finished" == record.state
    assert 2 == record.result
    assert ["finished", "finished"] == [stage.state for stage in record.stages]


def test_last_in_definition_not_in_time(threads: Any, flow: Any) -> None:
    """The last stage is that of the definition, also if others run after it."""
    assert "first" == threads(flow(b=(str, {"depends_on": ["a"]}), a=lambda: "first")).result


@pytest.mark.extended
def test_results_in_the_order_of_depends_on(run: Any, flow: Any) -> None:
    """The results of the stages depended on are passed in the order they are named."""
    record = run(
        flow(
            a=lambda: "a",
            b=lambda: "b",
            both=(lambda *results: results, {"depends_on": ["b", "a"]}),
        )
    )
    assert ("b", "a") == record.result


def test_no_parameters_no_arguments(run: Any, flow: Any) -> None:
    """A function that takes nothing is given nothing; data passes through the store."""

    def put() -> None:
        object_store.put("value", {"n": 3})

    def get() -> Any:
        return object_store.get("value")

    assert {"n": 3} == run(flow(put=put, get=(get, {"depends_on": "put"}))).result


def test_context_in_a_stage(run: Any, flow: Any) -> None:
    """A stage sees its run: namespace, name, executor, input, config, definition, itself."""

    def look() -> dict[str, Any]:
        ctx = get_run_context()
        assert ctx.stage is not None
        return {
            "namespace": ctx.namespace,
            "run": ctx.run.name,
            "state": ctx.run.state,
            "executor": ctx.executor,
            "input": dict(ctx.input),
            "config": dict(ctx.config),
            "definition": ctx.definition.metadata.name,
            "stage": (ctx.stage.name, ctx.stage.attempt, ctx.stage.map_index),
            "store": ctx.store.url,
        }

    record = run(flow(look=look), {"day": 1}, namespace="team", run="mine", config={"n": 2})
    assert {
        "namespace": "team",
        "run": "mine",
        "state": "running",
        "executor": "local",
        "input": {"day": 1},
        "config": {"n": 2},
        "definition": "flow",
        "stage": ("look", 1, None),
        "store": f"file://{run.keywords['store']}",
    } == record.result


def test_stages_do_not_share_input(threads: Any, flow: Any) -> None:
    """What one stage writes into its input, another does not find there."""

    def spoil() -> None:
        get_run_context().input["rows"].append(2)

    def look() -> Any:
        return get_run_context().input["rows"]

    given = {"rows": [1]}
    assert [1] == threads(flow(a=spoil, b=(look, {"depends_on": "a"})), given).result
    assert {"rows": [1]} == given


def test_missing_input_names_the_way(threads: Any, flow: Any) -> None:
    """A stage that reads an input which was not given fails with how to give it."""
    with pytest.raises(StageError, match="was given no 'day'") as caught:
        threads(flow(a=lambda: get_run_context().input["day"]))
    assert isinstance(caught.value.__cause__, MissingInputError)


def test_coroutine(run: Any, flow: Any) -> None:
    """An async stage is run to its end, in the context."""

    async def later() -> str:
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: get_run_context().run.name)

    assert "r1" == run(flow(later=later), run="r1").result


def test_generators_are_collected(run: Any, flow: Any) -> None:
    """What a stage yields is its result, as a list; its code runs in the context."""

    def names() -> Iterator[str]:
        yield get_run_context().run.name

    async def async_names() -> AsyncIterator[str]:
        yield get_run_context().run.name

    both = (lambda *results: results, {"depends_on": ["a", "b"]})
    assert (["r1"], ["r1"]) == run(flow(a=names, b=async_names, c=both), run="r1").result


def test_independent_stages_run_side_by_side(run: Any, flow: Any, tmp_path: Path) -> None:
    """Two stages that wait for each other both end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "met" == run(flow(a=lambda: pipe.write_text("met"), b=lambda: pipe.read_text())).result


def test_more_stages_than_workers(threads: Any, flow: Any) -> None:
    """One worker runs any number of independent stages."""
    record = threads(
        flow(**{f"s{n}": (lambda: 1) for n in range(20)}), executor_options={"workers": 1}
    )
    assert ["finished"] * 20 == [stage.state for stage in record.stages]


def test_heavy_results_are_let_go_of(threads: Any, flow: Any) -> None:
    """A result is dropped once every stage that takes it is done."""
    import weakref

    class Heavy:
        pass

    seen: list[Any] = []

    def make() -> Heavy:
        heavy = Heavy()
        seen.append(weakref.ref(heavy))
        return heavy

    def look() -> bool:
        return seen[0]() is None

    record = threads(
        flow(
            make=make,
            use=(lambda heavy: None, {"depends_on": "make"}),
            between=(lambda: None, {"depends_on": "use"}),
            look=(look, {"depends_on": "between"}),
        ),
        executor_options={"workers": 1},
    )
    assert record.result is True


@pytest.mark.parametrize("kind", ["dict", "model", "path", "text"])
def test_kinds_of_workflow(kind: str, threads: Any, flow: Any, project: Any) -> None:
    """A workflow is a dict, a Workflow, a Path or a str."""
    path = project(
        flow_yaml="""
            kind: workflow
            metadata: {name: flow}
            spec: {stages: [{name: a, target: builtins.dict}]}
            """
    )
    given: Any = {
        "dict": flow(a="builtins.dict"),
        "model": Workflow.model_validate(flow(a="builtins.dict")),
        "path": path / "flow.yaml",
        "text": str(path / "flow.yaml"),
    }[kind]
    assert {} == threads(given).result


def test_configs_are_merged(threads: Any, flow: Any, project: Any) -> None:
    """Configs as models, dicts and files are merged if they select the workflow."""
    root = project(
        more_yaml="""
            kind: config
            metadata: {name: for-flow}
            spec:
              selector: {type: name, value: flow}
              data: {deep: {b: 3}}
            ---
            kind: config
            metadata: {name: for-another}
            spec:
              selector: {type: name, value: another}
              data: {deep: {b: 4}}
            """
    )
    first = Config.model_validate(
        {"metadata": {"name": "base"}, "spec": {"data": {"deep": {"a": 1, "b": 1}}}}
    )
    second = {"kind": "config", "metadata": {"name": "x"}, "spec": {"data": {"deep": {"a": 2}}}}
    with pytest.warns(UnusedConfigWarning, match="'for-another' is not used"):
        record = threads(
            flow(look=lambda: dict(get_run_context().config)),
            config=[root / "more.yaml", first, second],
        )
    assert {"deep": {"a": 2, "b": 3}} == record.result


def test_without_input_and_config(threads: Any, flow: Any) -> None:
    """Without input and config, a stage finds both empty."""
    record = threads(flow(a=lambda: (dict(get_run_context().input), get_run_context().config)))
    assert ({}, {}) == record.result


def test_record_at_start_and_end(run: Any, flow: Any, store: Path) -> None:
    """The record is in the store as running while the run goes on, and as finished after."""
    url = str(store)

    def look() -> str:
        return ObjectStore(url).read_run("r1", namespace="default").state

    record = run(flow(look=look), run="r1", source="test")
    assert "running" == record.result
    stored = ObjectStore(url).read_run("r1", namespace="default")
    assert "finished" == stored.state
    assert "test" == stored.source
    assert record.stages == stored.stages
    assert record.uid == stored.uid
    assert None not in (record.started_at, record.finished_at)


def test_stage_records(threads: Any, flow: Any) -> None:
    """A stage's record tells when it ran, how many calls it took and how many items it had."""
    record = threads(flow(a=lambda: [1, 2], b=(abs, {"type": "parameterized"})))
    first, second = record.stages
    assert ("a", "finished", 1, None) == (first.name, first.state, first.attempts, first.items)
    assert ("b", "finished", 2, 2) == (second.name, second.state, second.attempts, second.items)
    assert first.started_at <= first.finished_at <= second.started_at <= second.finished_at


def test_run_name_taken(threads: Any, flow: Any, store: Path) -> None:
    """A run name that is taken in the namespace is refused before anything runs."""
    ran: list[int] = []
    first = threads(flow(a=lambda: "first"), run="r1")
    with pytest.raises(ObjectExistsError):
        threads(flow(a=lambda: ran.append(1)), run="r1")
    assert [] == ran
    assert first.uid == ObjectStore(str(store)).read_run("r1", namespace="default").uid
    threads(flow(a=lambda: ran.append(1)), run="r1", namespace="other")
    assert [1] == ran


def test_names_of_runs_differ(threads: Any, flow: Any, store: Path) -> None:
    """Runs without a name get one each."""
    names = {threads(flow(a=lambda: None)).name for _ in range(3)}
    assert names == {stored.name for stored in ObjectStore(str(store)).runs("default")}
    assert 3 == len(names)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"executor": "celery"}, InvalidRequestError, "there are 'local', 'dask', 'ray'"),
        ({"executor": "dask", "store": "memory://x"}, InvalidRequestError, "memory of this proc"),
        ({"executor": "ray", "store": "memory://x"}, InvalidRequestError, "memory of this proc"),
        ({"executor_options": {"cores": 1}}, InvalidRequestError, "no option 'cores'"),
        ({"namespace": "a/b"}, InvalidNameError, "namespace 'a/b'"),
        ({"run": "_x"}, InvalidNameError, "run '_x'"),
        ({"input": [1]}, InvalidRequestError, "input must be a mapping with str as keys"),
        ({"input": {1: 1}}, InvalidRequestError, "input must be a mapping with str as keys"),
        ({"config": 3}, InvalidWorkflowError, "config must be a dict of values, .* not 3"),
        ({"config": [3]}, InvalidWorkflowError, r"config\[0\] must be a Config, .* not 3"),
        ({"config": [{"n": 1}]}, InvalidWorkflowError, r"config\[0\]: metadata: this field is m"),
        ({"config": ["no.yaml"]}, InvalidWorkflowError, "there is no file 'no.yaml'"),
        ({"workflow": 3}, InvalidWorkflowError, "workflow must be a Workflow, .* not 3"),
        ({"workflow": {"kind": "config"}}, InvalidWorkflowError, "workflow: kind: it must be"),
    ],
)
def test_refused_before_anything(
    given: dict[str, Any], error: type[Exception], told: str, flow: Any, store: Path
) -> None:
    """What is wrong with the arguments is said before anything runs or is written."""
    ran: list[int] = []
    arguments = {"workflow": flow(a=lambda: ran.append(1)), "store": store, **given}
    with pytest.raises(error, match=told):
        run_workflow(**arguments)
    assert [] == ran
    assert not store.exists()


def test_memory_store_in_threads(flow: Any) -> None:
    """Threads share a store in memory with the caller."""

    def put_and_get() -> Any:
        object_store.put("n", 1)
        return object_store.get("n")

    assert 1 == run_workflow(flow(a=put_and_get), store="memory://threads").result


@pytest.mark.parametrize(
    "engine",
    [{"executor_options": {"mode": "processes"}}, {"executor": "dask"}, {"executor": "ray"}],
)
@pytest.mark.parametrize("given", [{}, {"token": "t"}])
def test_credentials_that_do_not_travel(flow: Any, engine: dict[str, Any], given: Any) -> None:
    """A store made with key= and secret= is refused where stages run in other processes."""
    store = ObjectStore("s3://b/p", key="K", secret="hidden-one", **given)
    with pytest.raises(InvalidRequestError, match=r"stay in this process.* as profile=") as told:
        run_workflow(flow(a=dict), store=store, **engine)
    assert "hidden-one" not in str(told.value)


def test_memory_store_in_processes(flow: Any) -> None:
    """A store in memory is refused if stages would run in other processes."""
    with pytest.raises(InvalidRequestError, match="memory of this process"):
        run_workflow(
            flow(a=dict), store="memory://processes", executor_options={"mode": "processes"}
        )


def test_two_runs_at_once_in_one_process(run: Any, flow: Any) -> None:
    """Two runs of one workflow that overlap keep their values apart."""
    together = threading.Barrier(2)

    def put() -> None:
        object_store.put("who", get_run_context().run.name)

    def get() -> Any:
        return object_store.get("who")

    workflow = flow(put=put, get=(get, {"depends_on": "put"}))

    def start(name: str) -> Any:
        return run(
            workflow,
            run=name,
            on_event=lambda event: (
                together.wait(60) if (event.stage, event.state) == ("put", "finished") else None
            ),
        ).result

    with ThreadPoolExecutor(2) as pool:
        assert ["r1", "r2"] == list(pool.map(start, ["r1", "r2"]))


def test_a_run_within_a_run(threads: Any, flow: Any) -> None:
    """A stage can run a workflow; afterwards it is in its own run again."""

    def outer() -> tuple[str, str]:
        inner = threads(flow(inner=lambda: get_run_context().run.name), run="inner")
        return inner.result, get_run_context().run.name

    assert ("inner", "outer") == threads(flow(outer=outer), run="outer").result


@pytest.mark.extended
def test_nothing_is_left_behind(run: Any, flow: Any) -> None:
    """Twenty runs leave no thread, no process, no path and no context behind."""
    threads, path = set(threading.enumerate()), list(sys.path)
    pids = {run(flow(a=os.getpid)).result for _ in range(20)} - {os.getpid()}
    assert set() == set(threading.enumerate()) - threads
    assert path == sys.path
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
