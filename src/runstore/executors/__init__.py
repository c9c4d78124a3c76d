"""Where code goes: an executor takes calls and gives futures.

It knows nothing of workflows, runs or stores. Every executor passes
`runstore.testing.executors.ExecutorTests`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runstore.errors import InvalidRequestError, MissingExtraError
from runstore.executors._base import Call, Executor
from runstore.executors._failures import traceback_text
from runstore.executors._local import LocalExecutor

__all__ = ["Call", "Executor", "LocalExecutor", "open_executor", "traceback_text"]

_OPTIONS = ("mode", "workers")


def open_executor(
    name: str = "local",
    options: Mapping[str, Any] | None = None,
    import_path: Sequence[str] = (),
) -> Executor:
    """Make the executor called *name*; nothing is started before its first call.

    Args:
        name: ``local``.
        options: For ``local``: ``mode``, ``threads`` (default) or ``processes``, and
            ``workers``, by default one per CPU.
        import_path: Folders in which other processes look for modules first.

    Raises:
        InvalidRequestError: There is no such executor or option.
        MissingExtraError: The executor is not part of this version.
    """
    if name in ("dask", "ray"):
        raise MissingExtraError(
            f"executor {name!r} is not available in this version of runstore: use "
            "executor='local' with executor_options={'mode': 'processes'} for every core of "
            "this machine",
            name,
        )
    if name != "local":
        raise InvalidRequestError(f"executor {name!r} is unknown: there is 'local'", str(name))
    given = dict(options or {})
    if unknown := [key for key in given if key not in _OPTIONS]:
        raise InvalidRequestError(
            f"executor 'local' has no option {', '.join(map(repr, unknown))}: it has "
            f"{', '.join(map(repr, _OPTIONS))}"
        )
    return LocalExecutor(**given, import_path=import_path)
