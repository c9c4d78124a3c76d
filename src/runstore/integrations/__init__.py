"""What runstore plugs into orchestrators; each module needs its orchestrator, and is used there.

`run_ended` is for hooks of orchestrators that have no module here.
"""

from typing import Any

__all__ = ["run_ended"]


def __getattr__(name: str) -> Any:
    if name != "run_ended":
        raise AttributeError(f"module 'runstore.integrations' has no attribute {name!r}")
    from runstore.integrations._ended import run_ended

    return run_ended
