"""The stages as steps of a ZenML pipeline, with its local store, twice."""

import stages
from zenml import pipeline, step


@step(enable_cache=False)
def build() -> int:
    """Store."""
    stages.build()
    return 1


@step(enable_cache=False)
def train(built: int) -> None:
    """Read."""
    stages.train()


@pipeline(enable_cache=False)
def training(n: int) -> None:
    """Run both."""
    train(build())


if __name__ == "__main__":
    for n in (1, 2):
        training(n=n)
    stages.check_outside()
