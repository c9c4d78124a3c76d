"""A. Wrong place, wrong account: the namespace of a run."""

import os
from pathlib import Path

from tests.cases._case import case

from runstore import ObjectStore, object_store, run_workflow


@case("A5", "RUNSTORE_NAMESPACE is the namespace of run_workflow, too")
def namespace_of_a_run(folder: Path) -> None:
    """It was written to ``default``."""
    os.environ["RUNSTORE_NAMESPACE"] = "prod"
    stages = [{"name": "s", "target": lambda: object_store.put("x", 1).namespace}]
    record = run_workflow({"metadata": {"name": "w"}, "spec": {"stages": stages}})
    assert ("prod", "prod") == (record.namespace, record.result)
    assert ["prod"] == ObjectStore().namespaces()
