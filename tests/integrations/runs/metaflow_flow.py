"""The stages as steps of a Metaflow flow: each step is a process."""

import stages
from metaflow import FlowSpec, Parameter, exit_hook, retry, step

from runstore import ObjectStore
from runstore.integrations.metaflow import RUN_ENDED


@exit_hook(on_success=[RUN_ENDED], on_error=[RUN_ENDED])
class training(FlowSpec):
    """Run every stage."""

    n = Parameter("n", default=1)

    @step
    def start(self):
        """Store."""
        import pandas as pd  # not in each process: it takes longer to import than all else

        stages.build()
        self.frame = pd.DataFrame({"x": [1, 2]})
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @step
    def each(self):
        """Store an item."""
        import pandas as pd

        assert self.frame.equals(pd.DataFrame({"x": [1, 2]}))
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
        """The frame is an object of the run."""
        store = ObjectStore()
        kept = [store.stat(info.name).python_type for info in store.list("metaflow/")]
        assert {"pandas.DataFrame"} == set(kept), kept


if __name__ == "__main__":
    training()
