"""The stages as tasks of Flyte 2, run locally, twice at once."""

import sys

import flyte
import pandas as pd
import stages
from twice import twice

from runstore.integrations.flyte import Stored, store_values_of

store_values_of(pd.DataFrame)
env = flyte.TaskEnvironment(name="training")


@env.task
def build() -> int:
    """Store."""
    stages.build()
    return 1


@env.task
def train(built: int) -> int:
    """Read."""
    stages.train()
    return built


@env.task(retries=1)
def flaky() -> int:
    """Fail once."""
    stages.flaky()
    return 1


@env.task
def made() -> pd.DataFrame:
    """Give what the next task takes."""
    return pd.DataFrame({"x": [1, 2]})


@env.task
def taken(frame: pd.DataFrame) -> Stored:
    """Take it, and return what no type of Flyte is for."""
    assert frame.equals(pd.DataFrame({"x": [1, 2]}))
    return {1: {"a", "b"}}


@env.task
def training(n: int) -> int:
    """Run all."""
    assert {1: {"a", "b"}} == taken(made())
    flaky()
    return train(build())


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        flyte.init()
        flyte.run(training, n=1)
    else:
        twice([sys.executable, __file__, "once"])
        stages.check_outside()
