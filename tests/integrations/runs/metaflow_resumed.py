"""A flow of Metaflow that fails, and is resumed as a new run."""

import os

import stages
from metaflow import FlowSpec, current, exit_hook, step

from runstore import ObjectNotFoundError, get_run_context, object_store
from runstore.context.resolvers import run_name
from runstore.integrations.metaflow import RUN_ENDED


@exit_hook(on_success=[RUN_ENDED], on_error=[RUN_ENDED])
class resumed(FlowSpec):
    """Store in the first run, read in the second."""

    @step
    def start(self):
        """Store; Metaflow does not run this again."""
        stages.build()
        self.kept = list(range(5000))
        self.next(self.end)

    @step
    def end(self):
        """Fail in the first run."""
        assert list(range(5000)) == self.kept  # an artifact: a reference to the earlier run
        if "STAGES_FAIL" in os.environ:
            raise ValueError("as it should")
        earlier = run_name("resumed", current.origin_run_id)
        assert earlier != get_run_context().run.name
        try:
            object_store.get("features")
        except ObjectNotFoundError:  # what is stored by name is in the run that has stored it
            assert [1, 2, 3] == object_store.get("features", run=earlier)["rows"]
        else:
            raise AssertionError("the runs have one scope")
        stages.build()
        stages.train()


if __name__ == "__main__":
    resumed()
