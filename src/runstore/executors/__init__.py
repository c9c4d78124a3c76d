"""Where code runs: an executor takes calls and returns futures.

It knows nothing of workflows, runs or stores. Every executor passes
`runstore.testing.executors.ExecutorTests`.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from runstore.arguments import check_flag, check_keys, check_text, unfit
from runstore.errors import InvalidRequestError, MissingExtraError
from runstore.executors._base import Call, Executor
from runstore.executors._failures import given_up, kinds_of, traceback_text
from runstore.executors._local import LocalExecutor
from runstore.executors._logs import (
    LogLevels,
    LogLine,
    levels_here,
    sink_here,
    taking,
    untaken,
)
from runstore.executors._pending import RemoteResult
from runstore.executors._shared import Shared, pickled

__all__ = [
    "Call",
    "Executor",
    "LocalExecutor",
    "LogLevels",
    "LogLine",
    "Shared",
    "given_up",
    "is_remote",
    "kinds_of",
    "levels_here",
    "open_executor",
    "pickled",
    "sink_here",
    "taking",
    "traceback_text",
    "untaken",
]

# By name: nothing of an engine is imported before it is asked for.
_EXECUTORS = {
    "local": ("runstore.executors._local", "LocalExecutor", None),
    "dask": ("runstore.executors._dask", "DaskExecutor", "distributed"),
    "ray": ("runstore.executors._ray", "RayExecutor", "ray"),
}


def is_remote(held: object) -> bool:
    """Return whether the result of a future is a handle of a value that stays on a worker."""
    return isinstance(held, RemoteResult)


def open_executor(
    name: str = "local",
    options: Mapping[str, Any] | None = None,
    import_path: Sequence[str] = (),
) -> Executor:
    """Make the executor called *name*; nothing is started before its first call.

    Args:
        name: ``local``, ``dask`` or ``ray``.
        options: For ``local``: ``mode``, ``threads`` (default) or ``processes``, and
            ``workers``, by default one per CPU. For ``dask``: the ``address`` of a
            scheduler; without it workers are started for the run, with ``workers`` (how
            many), ``threads`` and ``resources`` of each, and ``dashboard``. For ``ray``: the
            ``address`` of a cluster; without it one is started for the run, with
            ``workers``, ``resources`` and ``dashboard``.
        import_path: Folders in which other processes look for modules first.

    Raises:
        InvalidRequestError: There is no such executor or option.
        MissingExtraError: The engine is not installed.
    """
    if name not in _EXECUTORS:
        known = ", ".join(map(repr, _EXECUTORS))
        raise InvalidRequestError(f"executor {name!r} is unknown: there are {known}", str(name))
    module, made_by, engine = _EXECUTORS[name]
    if engine is not None and find_spec(engine) is None:
        raise MissingExtraError(
            f"executor {name!r} needs {engine!r}: pip install 'runstore[{name}]', or use "
            "executor='local' with executor_options={'mode': 'processes'} for every core of this "
            "machine",
            name,
        )
    kind = getattr(import_module(module), made_by)
    given = dict(options or {})
    known_options = [key for key in inspect.signature(kind).parameters if key != "import_path"]
    if unknown := [key for key in given if key not in known_options]:
        raise InvalidRequestError(
            f"executor {name!r} has no option {', '.join(map(repr, unknown))}: it has "
            f"{', '.join(map(repr, known_options))}"
        )
    _check_options(given)
    executor: Executor = kind(**given, import_path=import_path)
    return executor


def _check_options(given: Mapping[str, Any]) -> None:
    """Check the options that several engines have; `check_count` checks the numbers."""
    call = "executor_options"
    check_text(call, "address", given.get("address"), optional=True)
    if given.get("dashboard") is not None:
        check_flag(call, "dashboard", given["dashboard"])
    resources = given.get("resources")
    check_keys(call, "resources", resources, optional=True)
    for name, amount in (resources or {}).items():
        real = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        if not real or not 0 <= amount < math.inf:
            raise unfit(call, f"resources[{name!r}]", "a number from 0", amount)
