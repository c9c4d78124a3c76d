"""Stages that know nothing of who runs them, and what they tell of where they are."""

import json
import os
import time

from runstore import NoRunContextError, get_run_context, object_store, run_context

__all__ = ["build", "check_outside", "each", "flaky", "train"]


def build():
    """Store a value of this run."""
    object_store.put("features", {"rows": [1, 2, 3], "uid": get_run_context().run.uid})
    _tell("build")


def train():
    """Read what this run's `build` has stored, and measure a look-up."""
    features = object_store.get("features")
    assert features["uid"] == get_run_context().run.uid
    object_store.put("model", sum(features["rows"]))
    _tell("train", look_up=_cost(get_run_context), exists=_above_explicit())


def _above_explicit():
    """Return what `exists` costs in this run more than in a context that was entered."""
    ctx, found, entered = get_run_context(), [], []
    for _ in range(3):  # in turns: others use the processor, too
        found.append(_cost(lambda: object_store.exists("features")))
        with run_context(namespace=ctx.namespace, run=ctx.run.name, store=ctx.store):
            entered.append(_cost(lambda: object_store.exists("features")))
    return min(found) - min(entered)


def _cost(call):
    """Return the microseconds of the processor that a call takes."""
    times = []
    for _ in range(5):
        begun = time.thread_time()
        for _ in range(300):
            call()
        times.append((time.thread_time() - begun) / 300 * 1e6)
    return min(times)


def each(item):
    """Store one object per item of a mapped task."""
    object_store.put(f"each/{item}", item)
    _tell("each")


def flaky():
    """Fail at the first attempt."""
    _tell("flaky")
    if get_run_context().stage.attempt == 1:
        object_store.put("attempt", 1)
        raise ValueError("as it should")
    object_store.put("attempt", get_run_context().stage.attempt)


def check_outside():
    """Outside of any run there is no context, and none is made up."""
    try:
        object_store.put("nowhere", 1)
    except NoRunContextError:
        _write({"what": "outside"})


def _tell(what, **more):
    ctx = get_run_context()
    _write(
        {
            "what": what,
            "namespace": ctx.namespace,
            "run": ctx.run.name,
            "workflow": ctx.run.workflow,
            "source": ctx.run.source,
            "stage": ctx.stage.name if ctx.stage else None,
            "attempt": ctx.stage.attempt if ctx.stage else None,
            "map_index": ctx.stage.map_index if ctx.stage else None,
            "input": {key: repr(value) for key, value in ctx.input.items()},
            **more,
        }
    )


def _write(told):
    line = (json.dumps(told) + "\n").encode()
    file = os.open(os.environ["STAGES_TELL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)
