"""The run of an orchestrator in which this code is, where no runstore context is set.

Each orchestrator has one module here. It asks the orchestrator for its own current run, at every
call, and never imports it: an orchestrator whose module is not loaded runs nothing here. Nothing is
set in the orchestrator, and what it has set is only read.

Other orchestrators bring a resolver as an entry point ``runstore.contexts``: its name is that of
the orchestrator, and it loads a module or an object that is a `Resolver`.
"""

import os
import re
import sys
from collections.abc import Hashable
from functools import cache
from importlib import import_module
from typing import Any

from runstore.context._address import default_address, default_namespace
from runstore.context._definitions import Metadata, Stage, Workflow, WorkflowSpec
from runstore.context._models import StageScope, WorkflowRunContext
from runstore.context._records import WorkflowRun
from runstore.context.resolvers._found import Found, Here, Resolver, run_name
from runstore.errors import SettingsError
from runstore.lifetime import Bounded
from runstore.plugins import entries

__all__ = ["Found", "Here", "Resolver", "resolved", "run_name"]


# By name, the module without which no code of it runs here. The one that is nearest to the code
# comes first: pipelines of Kedro run inside the tasks of others.
_OURS = {
    "kedro": "runstore.integrations.kedro",  # the hook, which Kedro loads
    "metaflow": "metaflow",
    "prefect": "prefect.context",
    "dagster": "dagster",
    "airflow": "airflow.sdk",
    "zenml": "zenml",
    "flyte": "flyte",
    "flytekit": "flytekit",
}

_contexts: Bounded[tuple[str, Hashable], WorkflowRunContext] = Bounded(64)  # few run at a time


def resolved(*, others: bool = True) -> WorkflowRunContext | None:
    """Return the context of the orchestrator's run in which this code is, or None outside one.

    Args:
        others: Whether to look for the resolvers of other packages, which takes milliseconds
            once.

    Raises:
        SettingsError: The setting ``RUNSTORE_CONTEXTS`` names no resolver.
    """
    look = others or _brought.cache_info().currsize > 0
    if not any(module in sys.modules for module in _OURS.values()) and not (look and _brought()):
        return None
    for name, resolver in _used(os.environ.get("RUNSTORE_CONTEXTS")):
        if resolver.MODULE not in sys.modules:
            continue
        here = resolver.here()
        if here is None:
            continue
        ctx = _contexts.get((name, here.key))
        if ctx is None:
            ctx = _context(name, here.describe())
            _contexts.put((name, here.key), ctx)
        return ctx
    return None


@cache
def _used(variable: str | None) -> tuple[tuple[str, Resolver], ...]:
    """Return the resolvers that are asked, in this order; the setting is read once per value."""
    from runstore.settings import current_settings

    wanted, others = current_settings().contexts, _brought()
    if wanted == "none":
        return ()
    names = [*_OURS, *others] if wanted == "auto" else re.split(r"[\s,]+", wanted.strip())
    unknown = [name for name in names if name not in _OURS and name not in others]
    if unknown:
        known = ", ".join(map(repr, ["auto", "none", *_OURS, *others]))
        raise SettingsError(f"RUNSTORE_CONTEXTS: there is no resolver {unknown[0]!r}: {known}")
    return tuple(
        (name, import_module(f"{__name__}.{name}") if name in _OURS else others[name].load())
        for name in dict.fromkeys(names)
    )


@cache
def _brought() -> dict[str, Any]:
    """Return the entry points of other packages by name; none is loaded here."""
    return entries("runstore.contexts")


def _context(orchestrator: str, found: Found) -> WorkflowRunContext:
    namespace = found.namespace or default_namespace()
    stage = Stage(name=found.stage or found.workflow, target=f"{orchestrator}:{found.workflow}")
    return WorkflowRunContext(
        input={str(key): value for key, value in found.input.items()},
        namespace=namespace,
        executor=orchestrator,
        definition=Workflow(
            metadata=Metadata(name=found.workflow), spec=WorkflowSpec(stages=(stage,))
        ),
        run=WorkflowRun(
            uid=found.uid,
            name=found.run,
            namespace=namespace,
            workflow=found.workflow,
            source=orchestrator,
            started_at=found.started_at,
            state="running",
        ),
        store=default_address(),
        stage=None
        if found.stage is None
        else StageScope(name=found.stage, attempt=found.attempt, map_index=found.map_index),
    ).as_found()
