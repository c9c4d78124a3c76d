"""Kedro: nodes, by the hook that is in `runstore.integrations.kedro`.

Kedro tells its hooks alone which node runs. They are called in the thread, or the process, that
runs the node.
"""

import sys
from typing import Any

from runstore.context.resolvers._found import Here

__all__ = ["MODULE", "here"]

MODULE = "runstore.integrations.kedro"


def here() -> Here | None:
    """Return the node in which this code is."""
    hook: Any = sys.modules[MODULE]
    found: Here | None = hook.current_node()
    return found
