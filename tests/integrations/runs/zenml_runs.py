"""The stages as steps of a ZenML pipeline, with its local store, twice at once."""

import sys

import pandas as pd
import stages
from twice import twice
from zenml import pipeline, step
from zenml.client import Client
from zenml.config.retry_config import StepRetryConfig

from runstore.integrations import run_ended
from runstore.integrations.zenml import RunstoreMaterializer


@step(enable_cache=False)
def build() -> int:
    """Store."""
    stages.build()
    return 1


@step(enable_cache=False)
def train(built: int) -> None:
    """Read."""
    stages.train()


@step(enable_cache=False, retry=StepRetryConfig(max_retries=1, delay=0))
def flaky() -> None:
    """Fail once."""
    stages.flaky()


@step(enable_cache=False, output_materializers=RunstoreMaterializer)
def made() -> pd.DataFrame:
    """Give what the next step takes."""
    return pd.DataFrame({"x": [1, 2]})


@step(enable_cache=False)
def taken(frame: pd.DataFrame) -> None:
    """Take it."""
    assert frame.equals(pd.DataFrame({"x": [1, 2]}))


@pipeline(enable_cache=False)
def training(n: int) -> None:
    """Run every step."""
    train(build())
    taken(made())
    flaky()


def main() -> None:
    """Run the pipeline once."""
    run = training(n=1)
    assert "completed" == run.status, run.status
    run_ended("training", str(run.id), "finished")  # static pipelines have no hook for that


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        main()
    else:
        Client().active_stack  # noqa: B018 - its database is made, once
        twice([sys.executable, __file__, "once"])
        stages.check_outside()
