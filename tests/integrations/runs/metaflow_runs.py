"""The stages as steps of a Metaflow flow: each step is a process."""

import stages
from metaflow import FlowSpec, retry, step


class training(FlowSpec):
    """Run every stage."""

    @step
    def start(self):
        """Store."""
        stages.build()
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @step
    def each(self):
        """Store an item."""
        stages.each(self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        """Read."""
        stages.train()
        self.next(self.flaky)

    @retry(times=1, minutes_between_retries=0)
    @step
    def flaky(self):
        """Fail once."""
        stages.flaky()
        self.next(self.end)

    @step
    def end(self):
        """Nothing."""


if __name__ == "__main__":
    stages.check_outside()
    training()
