"""The stages as tasks of a DAG of Airflow."""

import datetime

import pandas as pd
import stages
from airflow.sdk import dag, get_current_context, task

from runstore import object_store


@task
def build():
    """Store."""
    stages.build()
    return [1, 2]


@task
def each(item):
    """Store an item."""
    stages.each(item)


@task
def train():
    """Read."""
    stages.train()


@task(retries=1, retry_delay=datetime.timedelta())
def flaky():
    """Fail once."""
    stages.flaky()


@task
def made():
    """Give what the next task takes: no JSON."""
    return pd.DataFrame({"x": [1, 2]})


@task
def taken(frame):
    """Take it."""
    assert frame.equals(pd.DataFrame({"x": [1, 2]}))


@task(retries=1, retry_delay=datetime.timedelta())
def remember():
    """Keep state in the first attempt, which fails, and find it in the second: no JSON."""
    state, frame = get_current_context()["task_state_store"], pd.DataFrame({"x": [1, 2]})
    if state.get("frame.json") is None:
        state.set("frame.json", frame)
        raise ValueError("as it should")
    assert frame.equals(state.get("frame.json"))
    state.set("count", 2)
    name = "state/remember/-1/count"
    assert 2 == object_store.get(name)
    state.delete("count")
    assert not object_store.exists(name)
    state.clear()
    assert not object_store.list("state/")


@dag(params={"n": 1})
def training():
    """Run every stage."""
    each.expand(item=build()) >> train()
    taken(made())
    flaky()
    remember()


training()
