"""Definitions in the forms of Flowdapt run as they are."""

from collections.abc import Callable
from typing import Any

import pytest

from runstore import get_run_context, object_store
from runstore.context import Config, Stage, Workflow
from runstore.errors import InvalidWorkflowError, StageError, UnusedConfigWarning
from runstore.workflows import load_config, load_workflow, run_workflow

WORKFLOW = """
kind: workflow
metadata:
  uid: 0f8fad5b-d9cb-469f-a165-70867728950e
  created_at: 2024-05-01T12:00:00
  name: forecast
  annotations: {group: weather, tier: gold}
spec:
  stages:
    - name: cities
      target: stages.cities
      description: Which cities there are
      version: "1.2"
      priority: 3
    - name: measure
      type: parameterized
      target: stages.measure
      depends_on: cities
      resources: {cpus: 2, memory: 8GB, gpus: 1, custom_resource: 1}
    - name: extra
      type: parameterized
      target: stages.extra
      options: {map_on: payload_cities}
    - name: report
      target: stages.report
      depends_on: [measure, extra]
"""

STAGES = """
from runstore import get_run_context, object_store

def cities(n_vals):
    return [f"city-{i}" for i in range(n_vals)]

def measure(city):
    object_store.put(f"measured/{city}", city)
    return len(city)

def extra(city):
    return city.upper()

def report(measured, extra):
    ctx = get_run_context()
    return [sum(measured), extra, ctx.definition.metadata.name, ctx.config["n"]]
"""

CONFIGS = """
metadata: {name: one}
spec: {selector: {type: annotation, value: {group: weather}}, data: {n: 1}}
---
metadata: {name: two}
spec: {selector: {type: name, value: forecast}, data: {n: 2}}
---
metadata: {name: three}
spec: {selector: {value: forecast}, data: {n: 3}}
---
metadata: {name: four}
spec: {selector: {kind: workflow, value: forecast}, data: {n: 4}}
"""


@pytest.fixture
def project(tmp_path: Any) -> Any:
    """A workflow file, its stages and its configs."""
    (tmp_path / "stages.py").write_text(STAGES)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    (tmp_path / "configs.yaml").write_text(CONFIGS)
    return tmp_path


def test_a_whole_project_runs(project: Any, run: Callable[..., Any]) -> None:
    """Input fills a parameter by name, map_on names a key of the input, resources are labels."""
    given = {"n_vals": 3, "payload_cities": ["a", "b"]}
    record = run(project / "workflow.yaml", given, config=[project / "configs.yaml"])
    assert [18, ["A", "B"], "forecast", 4] == record.result


def test_what_a_definition_says_is_kept(project: Any) -> None:
    """The fields of Flowdapt's definitions are part of the model; memory is in bytes."""
    read = load_workflow(project / "workflow.yaml")
    assert "0f8fad5b-d9cb-469f-a165-70867728950e" == read.metadata.uid
    first, second, third, _ = read.spec.stages
    assert ("Which cities there are", "1.2", 3) == (
        first.description,
        first.version,
        first.priority,
    )
    assert {"cpus": 2, "memory": 8e9, "gpus": 1, "custom_resource": 1} == second.resources
    assert ("cities",) == second.depends_on
    assert "payload_cities" == third.options.map_on
    assert read == Workflow.model_validate(read.model_dump())


@pytest.mark.parametrize(
    ("text", "amount"),
    [("8GB", 8e9), ("512 MiB", 2**29), ("1.5g", 1.5e9), ("100", 100), ("4kB", 4000), ("7B", 7)],
)
def test_amounts_of_memory(text: str, amount: float) -> None:
    """Memory may be text with a unit, decimal or binary."""
    stage = Stage(name="s", target="builtins:print", resources={"memory": text})  # type: ignore[dict-item]
    assert {"memory": amount} == stage.resources


@pytest.mark.parametrize("text", ["8 foos", "", "-1GB", "GB", "1e3GB"])
def test_amounts_that_are_none(text: str) -> None:
    """Other text is refused, with what may be written."""
    with pytest.raises(InvalidWorkflowError, match="8GB or 512MiB"):
        Stage(name="s", target="builtins:print", resources={"memory": text})  # type: ignore[dict-item]


def test_callables_are_targets(threads: Any, flow: Any) -> None:
    """A dict may have lambdas as targets, which take the input by name."""
    record = threads(
        flow(a=lambda n: list(range(n)), b=(lambda x: x, {"depends_on": "a"})), {"n": 2}
    )
    assert [0, 1] == record.result


def test_input_fills_what_no_result_does(threads: Any, flow: Any) -> None:
    """Results come first, in order; parameters that are left are looked for in the input."""

    def last(x: int, factor: int, *, plus: int = 0, other: str = "default") -> list[Any]:
        return [x, factor, plus, other]

    record = threads(
        flow(a=lambda factor: factor + 1, b=(last, {"depends_on": "a"})), {"factor": 2, "plus": 5}
    )
    assert [3, 2, 5, "default"] == record.result


def test_keywords_take_the_whole_input_in_a_first_stage(threads: Any, flow: Any) -> None:
    """A function with **kwargs is given all of it if no result is passed, else nothing of it."""
    first, later = (lambda n, **rest: rest), (lambda x, **rest: [x, rest])
    record = threads(flow(a=first, b=(later, {"depends_on": "a"})), {"n": 1, "m": 2})
    assert [{"m": 2}, {}] == record.result


def test_a_mapped_first_stage_takes_other_input_by_name(threads: Any, flow: Any) -> None:
    """The key that is mapped over is the first argument, whatever the parameter is called."""
    options = {"type": "parameterized", "options": {"map_on": "cities"}}
    record = threads(
        flow(a=(lambda city, unit: city + unit, options)), {"cities": ["x", "y"], "unit": "!"}
    )
    assert ["x!", "y!"] == record.result


def test_of_several_dependencies_the_first_is_mapped_over(threads: Any, flow: Any) -> None:
    """Without map_on the items are those of the first stage in depends_on."""
    fields = {"type": "parameterized", "depends_on": ["a", "b"]}
    record = threads(flow(a=lambda: [1, 2], b=lambda: 10, c=(lambda x, y: x + y, fields)))
    assert [11, 12] == record.result


def test_partial_failure_on_request(threads: Any, flow: Any) -> None:
    """allow_partial_failure leaves failed items out; without it the run fails."""
    for options in ({"allow_partial_failure": True}, {"on_item_error": "skip"}):
        fields = {"type": "parameterized", "options": {"map_on": "n", **options}}
        assert [1.0, 0.5] == threads(flow(a=(lambda x: 1 / x, fields)), {"n": [1, 0, 2]}).result
    fields = {"type": "parameterized", "options": {"map_on": "n", "allow_partial_failure": False}}
    with pytest.raises(StageError, match="ZeroDivisionError"):
        threads(flow(a=(lambda x: 1 / x, fields)), {"n": [1, 0, 2]})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"allow_partial_failure": True, "on_item_error": "fail"}, "contradict each other"),
        ({"allow_partial_failure": "yes"}, "is true or false"),
        ({"map_on": "citys"}, "no key of the run's input; did you mean 'cities'"),
    ],
)
def test_options_that_are_refused(
    options: dict[str, Any], told: str, flow: Any, store: Any
) -> None:
    """Contradictions and unknown keys are told before anything runs."""
    fields = {"type": "parameterized", "options": options}
    with pytest.raises(InvalidWorkflowError, match=told):
        run_workflow(flow(a=list, b=(lambda x: x, fields)), {"cities": [1]}, store=store)


def test_a_name_of_both_is_refused(flow: Any, store: Any) -> None:
    """If map_on names a stage and a key of the input, neither is taken."""
    fields = {"type": "parameterized", "options": {"map_on": "a"}}
    with pytest.raises(InvalidWorkflowError, match="as well: give one of them another name"):
        run_workflow(flow(a=list, b=(lambda x: x, fields)), {"a": [1]}, store=store)


def test_an_input_without_items(threads: Any, flow: Any) -> None:
    """The stage fails, and the message says what to pass."""
    fields = {"type": "parameterized", "options": {"map_on": "n"}}
    with pytest.raises(StageError, match=r"maps over the input 'n'.*pass a list of items"):
        threads(flow(a=(lambda x: x, fields)), {"n": 5})


def test_input_of_a_stage_is_its_own(threads: Any, flow: Any) -> None:
    """What a stage does to a list of the input is not seen by others."""

    def first(values: list[int]) -> int:
        values.append(get_run_context().input["values"][-1] + 1)
        object_store.put("seen", values)
        return len(values)

    record = threads(
        flow(a=first, b=(lambda n, values: [n, values], {"depends_on": "a"})), {"values": [1]}
    )
    assert [2, [1]] == record.result


def test_configs_that_are_not_used_are_told(threads: Any, flow: Any) -> None:
    """One line names the config, and what its selector asks for."""
    selectors = [
        {"type": "name", "value": "other"},
        {"type": "annotation", "value": {"team": "x"}},
        {"kind": "trigger_rule", "value": "flow"},
    ]
    configs = [
        {"metadata": {"name": f"c{i}"}, "spec": {"selector": one, "data": {"n": 1}}}
        for i, one in enumerate(selectors)
    ]
    with pytest.warns(UnusedConfigWarning) as told:
        record = threads(flow(a=lambda: get_run_context().config.get("n")), config=configs)
    assert record.result is None
    texts = [str(one.message) for one in told]
    assert ["'c0'", "'c1'", "'c2'"] == [text.split()[1] for text in texts]
    assert "asks for the name 'other'" in texts[0]
    assert "asks for annotations {'team': 'x'}, and the workflow has none" in texts[1]
    assert "for resources of the kind 'trigger_rule'" in texts[2]


def test_one_config_resource_is_no_dict_of_values(threads: Any, flow: Any) -> None:
    """A dict of the shape of a Config is one, alone or in a list; wrong ones are refused."""
    resource = {"kind": "config", "metadata": {"name": "c"}, "spec": {"data": {"n": 5}}}
    for given in (resource, [resource], Config.model_validate(resource)):
        assert 5 == threads(flow(a=lambda: get_run_context().config["n"]), config=given).result
    with pytest.raises(InvalidWorkflowError, match="metadata"):
        threads(flow(a=list), config={"kind": "config", "spec": {"data": {}}})
    assert 4 == threads(flow(a=lambda: get_run_context().config["n"]), config={"n": 4}).result


def test_configs_without_kind_are_read(project: Any) -> None:
    """Neither a config nor a selector needs to say its kind."""
    assert ["annotation", "name", "name", "name"] == [
        one.spec.selector.type for one in load_config(project / "configs.yaml") if one.spec.selector
    ]
