"""The stages as tasks of flytekit, and a workflow that runs on one machine."""

import pandas as pd
import stages
from flytekit import task, workflow

from runstore.integrations.flytekit import Stored, store_values_of

store_values_of(pd.DataFrame)


@task
def build() -> int:
    """Store."""
    stages.build()
    return 1


@task
def train() -> int:
    """Read."""
    stages.train()
    return 1


@task(retries=1)
def flaky() -> int:
    """Fail once."""
    stages.flaky()
    return 1


@task
def made() -> pd.DataFrame:
    """Give what the next task takes."""
    return pd.DataFrame({"x": [1, 2]})


@task
def taken(frame: pd.DataFrame) -> Stored:
    """Take it, and return what no type of Flyte is for."""
    assert frame.equals(pd.DataFrame({"x": [1, 2]}))
    return {1: {"a", "b"}}


@workflow
def passing() -> Stored:
    """Pass a frame."""
    return taken(frame=made())
