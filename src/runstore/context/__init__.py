"""The run context: how to enter one, how to ask for it, how it crosses to other workers.

It is a value and does no I/O, with one exception: entering a run without naming a store or
namespace reads the settings.
"""

from runstore.context._address import (
    absolute_url,
    address_of,
    default_address,
    default_namespace,
)
from runstore.context._config import merge_configs, selects
from runstore.context._credentials import CredentialsKey, is_of_this_process, known_key
from runstore.context._crossing import (
    ContextProcessPoolExecutor,
    ContextThreadPoolExecutor,
    bind,
)
from runstore.context._current import (
    find_run_context,
    get_run_context,
    run_context,
    use_run_context,
)
from runstore.context._entering import entering
from runstore.context._lease import Lease, attempt_key, revoke
from runstore.context._logs import RunLogFilter
from runstore.context._models import (
    Config,
    ConfigSpec,
    Metadata,
    PicklePolicy,
    RunProcess,
    RunState,
    Selector,
    Stage,
    StageOptions,
    StageRecord,
    StageScope,
    StoreAddress,
    Workflow,
    WorkflowRun,
    WorkflowRunContext,
    WorkflowSpec,
    reasons,
    target_name,
)
from runstore.context._runs import new_run, new_run_name, now

__all__ = [
    "Config",
    "ConfigSpec",
    "ContextProcessPoolExecutor",
    "ContextThreadPoolExecutor",
    "CredentialsKey",
    "Lease",
    "Metadata",
    "PicklePolicy",
    "RunLogFilter",
    "RunProcess",
    "RunState",
    "Selector",
    "Stage",
    "StageOptions",
    "StageRecord",
    "StageScope",
    "StoreAddress",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunContext",
    "WorkflowSpec",
    "absolute_url",
    "address_of",
    "attempt_key",
    "bind",
    "default_address",
    "default_namespace",
    "entering",
    "find_run_context",
    "get_run_context",
    "is_of_this_process",
    "known_key",
    "merge_configs",
    "new_run",
    "new_run_name",
    "now",
    "reasons",
    "revoke",
    "run_context",
    "selects",
    "target_name",
    "use_run_context",
]
