"""The stages as steps of a ZenML pipeline, with its local store, twice."""

import pandas as pd
import stages
from zenml import pipeline, step

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


if __name__ == "__main__":
    for n in (1, 2):
        run = training(n=n)
        assert "completed" == run.status, run.status
        run_ended("training", str(run.id), "finished")  # static pipelines have no hook for that
    stages.check_outside()
