"""runstore: the object store of a workflow run.

    from runstore import get_run_context, object_store

Importing the package loads nothing; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runstore._version import __version__ as __version__

if TYPE_CHECKING:
    from runstore import errors, object_store
    from runstore.context import (
        Config,
        ContextProcessPoolExecutor,
        ContextThreadPoolExecutor,
        Stage,
        Workflow,
        WorkflowRun,
        WorkflowRunContext,
        bind,
        get_run_context,
        run_context,
        use_run_context,
    )
    from runstore.errors import (
        NoRunContextError,
        ObjectExistsError,
        ObjectNotFoundError,
        RunStoreError,
        StageError,
    )
    from runstore.steps import progress
    from runstore.store import ObjectInfo, ObjectStore
    from runstore.workflows import recorded_run, replay, run_workflow, stage, workflow

_HOME = {
    "Config": "runstore.context",
    "ContextProcessPoolExecutor": "runstore.context",
    "ContextThreadPoolExecutor": "runstore.context",
    "NoRunContextError": "runstore.errors",
    "ObjectExistsError": "runstore.errors",
    "ObjectInfo": "runstore.store",
    "ObjectNotFoundError": "runstore.errors",
    "ObjectStore": "runstore.store",
    "RunStoreError": "runstore.errors",
    "Stage": "runstore.context",
    "StageError": "runstore.errors",
    "Workflow": "runstore.context",
    "WorkflowRun": "runstore.context",
    "WorkflowRunContext": "runstore.context",
    "bind": "runstore.context",
    "get_run_context": "runstore.context",
    "progress": "runstore.steps",
    "recorded_run": "runstore.workflows",
    "replay": "runstore.workflows",
    "run_context": "runstore.context",
    "run_workflow": "runstore.workflows",
    "stage": "runstore.workflows",
    "use_run_context": "runstore.context",
    "workflow": "runstore.workflows",
}

__all__ = [
    "Config",
    "ContextProcessPoolExecutor",
    "ContextThreadPoolExecutor",
    "NoRunContextError",
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectStore",
    "RunStoreError",
    "Stage",
    "StageError",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunContext",
    "bind",
    "errors",
    "get_run_context",
    "object_store",
    "progress",
    "recorded_run",
    "replay",
    "run_context",
    "run_workflow",
    "stage",
    "use_run_context",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name in ("errors", "object_store"):
        return import_module(f"runstore.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'runstore' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return list(__all__)


def load_ipython_extension(shell: Any) -> None:
    """Add ``%run_context`` to a notebook: what ``%load_ext runstore`` calls."""
    import_module("runstore.notebook").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove what ``%load_ext runstore`` has added, and leave its run."""
    import_module("runstore.notebook").unload(shell)
