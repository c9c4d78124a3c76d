"""Running workflows: definitions from YAML, and `run_workflow`.

It loads and checks a workflow as a whole, then submits its calls to an executor
in the order of the graph, and keeps the record of the run in the store.
"""

from runstore.workflow._events import RunEvent
from runstore.workflow._load import load_config, load_workflow
from runstore.workflow._run import run_workflow

__all__ = ["RunEvent", "load_config", "load_workflow", "run_workflow"]
