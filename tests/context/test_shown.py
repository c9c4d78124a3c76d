"""What the text of contexts, runs and definitions shows: little, and no secret."""

import copy
import pickle
import traceback

import pytest
from pydantic import BaseModel

from runstore import Config, ObjectStore, Workflow, get_run_context, run_context, run_workflow
from runstore.context import WorkflowRun, WorkflowRunContext
from runstore.errors import RunStoreError

SECRET = "hunter2"
VALUES = {
    "api_key": SECRET,
    "password": SECRET.encode(),
    "dsn": f"postgres://me:{SECRET}@host/db",
    "nested": {"list": [{"hf_token": SECRET}, [[{"pwd": SECRET}]]], "passwords": [[SECRET]]},
    "n": 3,
}


class Outer(BaseModel):
    """A user's model that has a context."""

    ctx: WorkflowRunContext


@pytest.fixture
def ctx(tmp_path):
    """A context with secrets in its input and config."""
    with run_context(input=VALUES, config=VALUES, store=str(tmp_path)) as entered:
        yield entered


def _shown(value):
    """All texts that Python, pydantic and a notebook make of a value."""
    html = [value._repr_html_()] if hasattr(value, "_repr_html_") else []
    return [repr(value), str(value), f"{value}", f"{[value]}", *html]


def test_no_text_of_a_context_shows_a_secret(ctx):
    """Not of the context, its parts, copies, or models that have it; nor of a record's HTML."""
    record = ctx.run.model_copy(update={"input": VALUES, "config": VALUES, "result": VALUES})
    config = Config(metadata={"name": "c"}, spec={"data": VALUES})
    values = [ctx, ctx.input, ctx.config, ctx.at_stage("s"), record, config, Outer(ctx=ctx)]
    values += [copy.copy(ctx), *pickle.loads(pickle.dumps([ctx, ctx.input]))]
    for value in values:
        for text in _shown(value):
            assert SECRET not in text
            assert "(not shown)" in text


def test_the_values_stay(ctx):
    """Only texts are without them."""
    assert SECRET == ctx.input["api_key"]
    assert SECRET == ctx.model_dump()["input"]["api_key"]
    assert VALUES == dict(ctx.config)
    assert "'n': 3" in repr(ctx)


def test_the_text_of_a_context_is_short(ctx):
    """It names run, workflow and store, and cuts what is long."""
    with run_context(input={"text": "x" * 10_000}, config={str(n): n for n in range(1000)}) as long:
        assert 800 > len(repr(long))
    assert f"run='default/{ctx.run.name}'" in repr(ctx)
    assert f"store='{ctx.store.url}'" in repr(ctx)
    assert "retry_backoff" not in repr(ctx)


def test_what_is_the_default_is_left_out():
    """A definition shows what was written down."""
    flow = Workflow(metadata={"name": "w"}, spec={"stages": [{"name": "s", "target": "m:f"}]})
    assert (
        "Workflow(metadata=Metadata(name='w'), "
        "spec=WorkflowSpec(stages=(Stage(name='s', target='m:f'),)))"
    ) == repr(flow)


def test_a_result_of_any_class_can_be_shown():
    """Its class decides how; it is not compared."""
    numpy = pytest.importorskip("numpy")
    run = WorkflowRun(uid="u", name="r", workflow="w", result=numpy.arange(3))
    assert "result=array([0, 1, 2])" in repr(run)


def _fails():
    ctx = get_run_context()
    raise ValueError(f"this is wrong: {ctx} {ctx.input} {ctx.config!r}")


def test_errors_and_their_causes_show_no_secret(tmp_path):
    """Neither one that prints a context, nor pydantic's own of what was given."""
    raised = []
    for call in (
        lambda: Config(metadata={"name": "c"}, spec={"dta": VALUES}),
        lambda: Config(metadata={"name": "c"}, spec={"data": VALUES, "selector": VALUES}),
        lambda: run_context(input={**VALUES, 1: 2}),
        lambda: run_workflow(_flow(), input={**VALUES, 1: 2}, store=str(tmp_path)),
        lambda: run_workflow(
            _flow(), config=[{"metadata": {}, "spec": {"dta": VALUES}}], store=str(tmp_path)
        ),
        lambda: run_workflow(_flow(), input=VALUES, config=VALUES, store=str(tmp_path)),
    ):
        try:
            call()
        except RunStoreError as exc:
            raised.append("".join(traceback.format_exception(exc)) + repr(exc))
    assert 6 == len(raised)
    for text in raised:
        assert SECRET not in text
    (run,) = ObjectStore(tmp_path).runs()
    assert SECRET not in run.error
    assert "(not shown)" in run.error


def _flow():
    return Workflow(metadata={"name": "w"}, spec={"stages": [{"name": "s", "target": _fails}]})
