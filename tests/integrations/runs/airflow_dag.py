"""The stages as tasks of a DAG of Airflow."""

import datetime

import pandas as pd
import stages
from airflow.sdk import dag, task


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


@dag(params={"n": 1})
def training():
    """Run every stage."""
    each.expand(item=build()) >> train()
    taken(made())
    flaky()


training()
