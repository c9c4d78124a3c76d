"""The run context: how to enter one, how to ask for it, how it crosses to other workers.

It is a value and does no I/O, with one exception: entering a run without naming a store or
namespace reads the settings.
"""

from typing import TYPE_CHECKING, Any

from runstore.context._address import (
    absolute_url,
    address_of,
    default_address,
    default_namespace,
)
from runstore.context._config import merge_configs, selects
from runstore.context._credentials import CredentialsKey, is_of_this_process, known_key
from runstore.context._crossing import bind
from runstore.context._current import (
    find_run_context,
    get_run_context,
    peek_run_context,
    peeked_run_context,
    run_context,
    surrounding,
    use_run_context,
)
from runstore.context._definitions import (
    Config,
    ConfigSpec,
    Metadata,
    Retention,
    Selector,
    Stage,
    StageOptions,
    Workflow,
    WorkflowSpec,
    target_name,
)
from runstore.context._entering import entering
from runstore.context._entries import Entry, current_entry, enter, entered_runs, leave
from runstore.context._kept import is_exact, is_kept, kept_result, kept_values
from runstore.context._lease import Lease, attempt_key, known_lease, revoke
from runstore.context._logs import RunLogFilter
from runstore.context._models import (
    PicklePolicy,
    StageScope,
    StoreAddress,
    WorkflowRunContext,
)
from runstore.context._parameters import EVERY_KEY, RunParameters, parameter_digest, pickle_digest
from runstore.context._records import (
    ObjectUse,
    RunProcess,
    RunState,
    StageRecord,
    WorkflowRun,
    short_reason,
)
from runstore.context._runs import new_run, new_run_name, now
from runstore.context._trace import MOST_USES, Note, Trace
from runstore.context._values import plain, reasons

if TYPE_CHECKING:
    from runstore.context._pools import ContextProcessPoolExecutor, ContextThreadPoolExecutor

__all__ = [
    "EVERY_KEY",
    "MOST_USES",
    "Config",
    "ConfigSpec",
    "ContextProcessPoolExecutor",
    "ContextThreadPoolExecutor",
    "CredentialsKey",
    "Entry",
    "Lease",
    "Metadata",
    "Note",
    "ObjectUse",
    "PicklePolicy",
    "Retention",
    "RunLogFilter",
    "RunParameters",
    "RunProcess",
    "RunState",
    "Selector",
    "Stage",
    "StageOptions",
    "StageRecord",
    "StageScope",
    "StoreAddress",
    "Trace",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunContext",
    "WorkflowSpec",
    "absolute_url",
    "address_of",
    "attempt_key",
    "bind",
    "current_entry",
    "default_address",
    "default_namespace",
    "enter",
    "entered_runs",
    "entering",
    "find_run_context",
    "get_run_context",
    "is_exact",
    "is_kept",
    "is_of_this_process",
    "kept_result",
    "kept_values",
    "known_key",
    "known_lease",
    "leave",
    "merge_configs",
    "new_run",
    "new_run_name",
    "now",
    "parameter_digest",
    "peek_run_context",
    "peeked_run_context",
    "pickle_digest",
    "plain",
    "reasons",
    "revoke",
    "run_context",
    "selects",
    "short_reason",
    "surrounding",
    "target_name",
    "use_run_context",
]


def __getattr__(name: str) -> Any:
    if name in ("ContextProcessPoolExecutor", "ContextThreadPoolExecutor"):  # slow to import
        from runstore.context import _pools

        return getattr(_pools, name)
    raise AttributeError(f"module 'runstore.context' has no attribute {name!r}")
