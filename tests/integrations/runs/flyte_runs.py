"""The stages as tasks of Flyte 2, run locally."""

import flyte
import stages

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


@env.task
def training(n: int) -> int:
    """Run both."""
    return train(build())


if __name__ == "__main__":
    flyte.init()
    for n in (1, 2):
        flyte.run(training, n=n)
    stages.check_outside()
