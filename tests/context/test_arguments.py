"""Contexts, definitions and records say in one sentence what they cannot be made of."""

import copy
import math
import pickle

import pandas as pd
import pytest

from runstore import (
    Config,
    ObjectStore,
    Workflow,
    WorkflowRun,
    bind,
    run_context,
    run_workflow,
    use_run_context,
)
from runstore.context import (
    RunParameters,
    Stage,
    StoreAddress,
    WorkflowRunContext,
    absolute_url,
)
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    InvalidWorkflowError,
    RunStoreError,
    SettingsError,
)


def cyclic():
    value = {"a": [1]}
    value["a"].append(value)
    return value


def bomb():
    value = ["x"] * 10
    for _ in range(9):
        value = [value] * 10
    return {"a": value}


def stage():
    return 1


def workflow(**changes):
    made = {"name": "s", "target": stage} | changes
    return {"metadata": {"name": "w"}, "spec": {"stages": [made]}}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: run_context(namespace=1), "run_context: namespace must be a str or None, not int"),
        (lambda: run_context(run=1), "run_context: run must be a str, a WorkflowRun or None, not"),
        (lambda: run_context(config={1: "a"}), "config must be a mapping with str as keys, not di"),
        (lambda: run_context(config=[1]), "config must be a mapping with str as keys, not list"),
        (lambda: run_context(input="x"), "input must be a mapping with str as keys, not 'x'"),
        (lambda: run_context(config=cyclic()), "config must be plain data.* contains itself"),
        (lambda: run_context(input=bomb()), "written out, it has more than 10,000,000 values"),
        (lambda: run_context(workflow=""), "workflow must be a name or a Workflow, not ''"),
        (lambda: run_context(workflow={}), "workflow must be a name or a Workflow, not dict"),
        (lambda: run_context(store=3), "run_context: store must be a URL, a path or"),
        (lambda: run_context(source=3), "run_context: source must be a str, not int"),
        (lambda: use_run_context(None), "use_run_context: ctx must be a WorkflowRunContext, not N"),
        (lambda: bind(3), "bind: fn must be callable, not 3"),
        (lambda: bind(stage, "ctx"), "bind: ctx must be a WorkflowRunContext or None, not str"),
    ],
)
def test_a_wrong_argument_of_a_context_is_said_at_once(call, said):
    """Not when the block is entered, and not by pydantic."""
    with pytest.raises((InvalidRequestError, InvalidNameError, SettingsError), match=said):
        call()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"executor": ["local"]}, "run_workflow: executor must be a str, not list"),
        ({"executor_options": [1]}, "executor_options must be a mapping with str as keys"),
        ({"executor_options": {"mode": ["threads"]}}, "mode must be 'threads' or 'processes'"),
        ({"executor": "dask", "executor_options": {"dashboard": "x"}}, "dashboard must be True or"),
        ({"executor": "dask", "executor_options": {"resources": {"a": -1}}}, "a number from 0"),
        ({"executor": "ray", "executor_options": {"address": 3}}, "address must be a str or None"),
        ({"source": 3}, "run_workflow: source must be a str, not int"),
        ({"run": 3}, "run_workflow: run must be a str or None, not int"),
        ({"raise_on_failure": "no"}, "raise_on_failure must be True or False, not 'no'"),
        ({"on_event": 3}, "on_event must be callable or None, not 3"),
        ({"store": 3}, "run_workflow: store must be a URL"),
        ({"store": ""}, "address is empty"),
        ({"config": {1: 2}}, "config must be a mapping with str as keys.* key 1"),
        ({"config": b"x"}, "config must be a dict of values"),
        ({"config": cyclic()}, "contains itself"),
        ({"input": cyclic()}, "contains itself"),
        ({"workflow": pd.DataFrame()}, "workflow must be a Workflow, .* not DataFrame"),
        ({"workflow": {1: 2}}, "workflow: 1: Keys should be strings"),
    ],
)
def test_a_wrong_argument_of_a_run_is_said_before_anything(tmp_path, arguments, said):
    """Nothing runs and nothing is written."""
    made = {"workflow": workflow(), "store": tmp_path / "store"} | arguments
    with pytest.raises(RunStoreError, match=said):
        run_workflow(**made)
    assert [] == list(tmp_path.iterdir())


def test_a_store_with_a_name_too_long_is_told_by_us(tmp_path):
    """A path that no disk can have ends in an error of ours, before a stage runs."""
    with pytest.raises(RunStoreError, match="name too long"):
        run_workflow(workflow(), store=tmp_path / ("x" * 300))
    assert [] == list(tmp_path.iterdir())


def test_a_store_with_a_number_sign_in_its_path_is_looked_for_there(tmp_path):
    """The file that asks whether workers share the disk stands in the store's own folder."""
    (tmp_path / "a").write_text("a file: no folder to ask in")
    run = run_workflow(workflow(), store=tmp_path / "a#b")
    assert "finished" == run.state
    assert ["a", "a#b"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"resources": {"cpus": -1}},
            "stages.0.resources.cpus: .* greater than or equal to 0",
        ),
        ({"resources": {"cpus": math.nan}}, "spec.stages.0.resources.cpus: "),
        ({"resources": {"gpus": True}}, "resources.gpus: .* a number, not true or false"),
        ({"retries": True}, "spec.stages.0.retries: .* a number, not true or false"),
        ({"timeout": math.inf}, "spec.stages.0.timeout: "),
        ({"timeout": 0}, "spec.stages.0.timeout: .* greater than 0"),
        ({"timeout": 1e10}, "spec.stages.0.timeout: .* less than or equal to"),
        ({"timeout": True}, "spec.stages.0.timeout: .* a number, not true or false"),
        (
            {"nam": "x"},
            r"nam: stage 's': this field is unknown; did you mean 'name'\?",
        ),
    ],
)
def test_what_a_stage_cannot_have_is_refused(tmp_path, change, said):
    """Negative or endless amounts, and numbers that are true or false, name their path."""
    with pytest.raises(InvalidWorkflowError, match=said):
        run_workflow(workflow(**change), store=tmp_path / "store")
    assert [] == list(tmp_path.iterdir())


def _endless():
    """Make a dict that contains itself."""
    made = {}
    made["again"] = made
    return made


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: Workflow(metadata={}, spec={"stages": []}), InvalidWorkflowError, "metadata.name"),
        (lambda: Stage(name="s", target="m.f", retries=-1), InvalidWorkflowError, "Stage: retries"),
        (
            lambda: Config(metadata={"name": "c"}, spec={"data": {1: 2}}),
            InvalidWorkflowError,
            "Config: spec.data.1: it must be text, not 1",
        ),
        (
            lambda: WorkflowRun(name="a/b"),
            InvalidRequestError,
            "WorkflowRun: uid: this field is missing",
        ),
        (lambda: StoreAddress(url="x", timeout=-1), InvalidRequestError, "StoreAddress: timeout"),
        (
            lambda: Stage(name="s", target="m.f", resources={"api_key": "SEKRET"}),
            InvalidWorkflowError,
            "Stage: resources.api_key: it must be a number, not str$",
        ),
        (
            lambda: Stage(name=_endless(), target="m.f"),
            InvalidWorkflowError,
            "Stage: name: it must be text, not dict$",
        ),
        (
            lambda: WorkflowRunContext(namespace="n", config={1: 2}),
            InvalidRequestError,
            "WorkflowRunContext: definition: this field is missing.*config.1: ",
        ),
    ],
)
def test_no_error_of_pydantics_leaves_a_model(make, kind, said):
    """A model that cannot be made raises an error of ours, with the path to each mistake."""
    with pytest.raises(kind, match=said):
        make()


def test_a_model_is_made_copied_and_pickled_as_before():
    """What is right is not changed by the checks."""
    import pickle

    made = Workflow.model_validate(workflow(target="m.f", resources={"cpus": 2, "gpus": 0}))
    assert made == Workflow(metadata=made.metadata, spec=made.spec)
    assert made == pickle.loads(pickle.dumps(made)) == made.model_copy(deep=True)
    assert made == Workflow.model_validate_json(made.model_dump_json())
    shared = [1, 2]
    with run_context(config={"a": shared, "b": shared}, store=ObjectStore("memory://x")) as ctx:
        assert {"a": [1, 2], "b": [1, 2]} == ctx.config


def test_a_parameter_is_no_attribute():
    """The error says how a key is read; of a name that is no key it is the usual one."""
    given = RunParameters(year=2013)
    with pytest.raises(AttributeError, match=r"'year': it is a dict, write \['year'\]"):
        given.year  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'month'$"):
        given.month  # noqa: B018
    assert {"year": 2013} == pickle.loads(pickle.dumps(given)) == copy.copy(given)


def test_a_stage_says_plainly_what_is_wrong():
    """Without the words that pydantic puts in front."""
    for given, told in (
        ({"resources": {"memory": "8 gigs"}}, "Stage: resources: '8 gigs' is no amount of memory"),
        ({"retries": -1}, "Stage: retries: it must be greater than or equal to 0"),
        ({"retry": 1}, "Stage: retry: this field is unknown"),
    ):
        with pytest.raises(InvalidWorkflowError) as caught:
            Stage(name="s", target="os:getcwd", **given)
        assert str(caught.value).startswith(told)


def test_the_path_of_a_store_has_no_way_up(tmp_path, monkeypatch):
    """It is as the system finds it, also through a link: what is above that is beside its goal."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path / "a")
    for given, meant in (
        ("../tiny", tmp_path / "tiny"),
        (f"{tmp_path}/a/../tiny/deep", tmp_path / "tiny/deep"),
        (f"file://{tmp_path}/link/../tiny", tmp_path / "a/tiny"),
        (tmp_path / "link" / "tiny", tmp_path / "link/tiny"),
    ):
        assert f"file://{meant}" == absolute_url(given)
