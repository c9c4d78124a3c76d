"""Running workflows: definitions from YAML and in Python, and `run_workflow`.

It loads and checks a workflow as a whole, then submits its calls to an executor
in the order of the graph, and keeps the record of the run in the store.
"""

from runstore.workflows._events import RunEvent
from runstore.workflows._load import load_config, load_workflow
from runstore.workflows._python import stage, workflow
from runstore.workflows._recorded import recorded_run
from runstore.workflows._replay import replay
from runstore.workflows._replayed import Replay
from runstore.workflows._run import run_workflow

__all__ = [
    "Replay",
    "RunEvent",
    "load_config",
    "load_workflow",
    "recorded_run",
    "replay",
    "run_workflow",
    "stage",
    "workflow",
]
