import asyncio
import pickle
import threading

import pytest

from runstore import NoRunContextError, get_run_context, object_store, run_context, use_run_context
from runstore.context import find_run_context
from runstore.errors import InvalidNameError, MissingInputError, SettingsError


def current():
    ctx = find_run_context()
    return None if ctx is None else ctx.run.name


def test_outside_a_run_there_is_no_context_and_the_way_in_is_told(tmp_path):
    """NoRunContextError says how to enter a run, and nothing is created."""
    for call in (get_run_context, lambda: object_store.put("a", 1), lambda: object_store.get("a")):
        with pytest.raises(NoRunContextError) as caught:
            call()
        for hint in ("run_context(", "bind", "ContextThreadPoolExecutor", ".at("):
            assert hint in str(caught.value)
    assert [] == list(tmp_path.iterdir())


def test_a_context_holds_what_it_was_given():
    """run_context() fills the context a stage would find."""
    with run_context(
        namespace="dev", run="r1", config={"n": 3}, input={"year": 2013}, workflow="train",
        store="memory://x", source="test",
    ) as ctx:  # fmt: skip
        assert ctx is get_run_context()
        assert ("dev", "none", {"n": 3}, {"year": 2013}) == (
            ctx.namespace,
            ctx.executor,
            ctx.config,
            ctx.input,
        )
        assert ("r1", "dev", "train", "test", "running") == (
            ctx.run.name,
            ctx.run.namespace,
            ctx.run.workflow,
            ctx.run.source,
            ctx.run.state,
        )
        assert ("train", "memory://x") == (ctx.definition.metadata.name, ctx.store.url)
        assert ctx.stage is None


def test_nesting_restores_the_outer_context():
    """Leaving a context brings back the one around it, also after an error."""
    with run_context(run="outer"):
        with pytest.raises(ZeroDivisionError), run_context(run="inner"):  # noqa: PT012
            assert "inner" == current()
            raise ZeroDivisionError
        assert "outer" == current()
    assert current() is None


def test_an_inner_run_inherits_the_place():
    """Namespace and store of the run around are taken over, run and config are not."""
    with (
        run_context(namespace="dev", run="outer", store="memory://a", config={"n": 1}) as outer,
        run_context() as inner,
    ):
        assert (outer.namespace, outer.store) == (inner.namespace, inner.store)
        assert outer.run.name != inner.run.name
        assert {} == inner.config


def test_an_existing_context_can_be_entered_again():
    """use_run_context() enters a context that came from elsewhere."""
    with run_context(run="r", store="memory://a") as ctx:
        pass
    with use_run_context(pickle.loads(pickle.dumps(ctx))) as again:
        assert ctx == again == get_run_context()
    assert current() is None


def test_contexts_left_out_of_order_bring_back_no_run_that_is_over():
    """A generator closed after the context around it is gone leaves no trace."""

    def generator():
        with run_context(run="in-generator"):
            yield current()

    with run_context(run="outer"):
        steps = generator()
        assert "in-generator" == next(steps)
    steps.close()
    assert current() is None


def test_a_decorated_function_runs_in_a_run_of_its_own():
    """Each call enters a new run, and the caller keeps its own context."""

    @run_context(namespace="dev")
    def function(suffix):
        """Say where it runs."""
        return current() + suffix

    assert "Say where it runs." == function.__doc__
    assert function("!") != function("!")
    assert current() is None


def test_a_decorated_generator_lends_its_context_to_nobody():
    """A decorated generator has its context in its own steps; the caller keeps its own."""

    @run_context(run="g")
    def generator():
        received = []
        try:
            received.append((yield current()))
            received.append((yield current()))
        except ValueError:
            yield f"caught in {current()}"
        finally:
            received.append(current())
        return received

    steps = generator()
    with run_context(run="outer"):
        assert ("g", "outer") == (next(steps), current())
        assert ("g", "outer") == (steps.send(1), current())
        assert ("caught in g", "outer") == (steps.throw(ValueError()), current())
        with pytest.raises(StopIteration) as stop:
            next(steps)
    assert [1, "g"] == stop.value.value
    closed = generator()
    next(closed)
    closed.close()
    assert current() is None


def test_a_decorated_coroutine_keeps_its_context():
    """A coroutine has its context until it is done; its siblings have theirs."""

    @run_context(run="c")
    async def coroutine():
        await asyncio.sleep(0)
        return current()

    @run_context(run="a")
    async def asynchronous_generator():
        yield current()
        await asyncio.sleep(0)
        yield current()

    async def main():
        with run_context(run="main"):
            names = await asyncio.gather(coroutine(), coroutine())
            items = [(item, current()) async for item in asynchronous_generator()]
            return names, items, current()

    expected = (["c", "c"], [("a", "main"), ("a", "main")], "main")
    assert expected == asyncio.run(main())


def test_a_plain_thread_has_no_context_and_is_told_so():
    """In a thread of its own accord there is no context; the error names the thread."""
    errors = []

    def work():
        try:
            get_run_context()
        except NoRunContextError as exc:
            errors.append(str(exc))

    with run_context():
        thread = threading.Thread(target=work, name="worker-7")
        thread.start()
        thread.join()
    assert "worker-7" in errors[0]
    assert "bind" in errors[0]
    assert "ContextThreadPoolExecutor" in errors[0]


def test_tasks_and_to_thread_keep_the_context():
    """asyncio tasks and asyncio.to_thread carry the context, also when the block around is left."""

    async def main():
        with run_context(run="r"):
            task = asyncio.create_task(asyncio.to_thread(current))
        return await task

    assert "r" == asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"namespace": "_x"}, InvalidNameError),
        ({"run": "a/b"}, InvalidNameError),
        ({"store": 3}, SettingsError),
    ],
)
def test_wrong_arguments_are_told(arguments, error):
    """A bad namespace, run or store raises before anything is entered."""
    with pytest.raises(error), run_context(**arguments):
        raise AssertionError("was entered")
    assert current() is None


def test_missing_input_and_config_say_how_to_give_them():
    """A key that the run was not given raises MissingInputError, which is a KeyError."""
    with run_context(input={"year": 2013}) as ctx:
        pass
    again = pickle.loads(pickle.dumps(ctx))
    validated = type(ctx).model_validate(ctx.model_dump())
    for one in (ctx, again, validated, ctx.at_stage("s")):
        for given, told in (
            (
                one.input,
                r"no 'month' in its input \(which has 'year'\): pass it with --input month=",
            ),
            (one.config, r"no 'month' in its config \(which has nothing\): .* --config FILE or"),
        ):
            with pytest.raises(MissingInputError, match=told) as caught:
                given["month"]
            assert isinstance(caught.value, KeyError)
            assert given.get("month") is None


def test_a_stage_has_input_and_config_of_its_own():
    """What a stage writes into its config reaches no other stage."""
    with run_context(config={"a": {"b": [1]}}, input={"x": [1]}) as ctx:
        at = ctx.at_stage("train", attempt=2, map_index=3)
        at.config["a"]["b"].append(2)
        at.input["x"].clear()
    assert ("train", 2, 3) == (at.stage.name, at.stage.attempt, at.stage.map_index)
    assert ({"a": {"b": [1]}}, {"x": [1]}) == (ctx.config, ctx.input)


def test_a_context_is_frozen():
    """Fields of a context and its run cannot be assigned."""
    with run_context() as ctx:
        for thing, field in ((ctx, "namespace"), (ctx.run, "state"), (ctx.definition, "kind")):
            with pytest.raises(ValueError, match="frozen"):
                setattr(thing, field, "x")
