"""Log lines that say which run they are of."""

import logging

from runstore.arguments import check_text
from runstore.context._current import peek_run_context

__all__ = ["RunLogFilter"]


class RunLogFilter(logging.Filter):
    """Adds to every record of a handler which run and stage the code is part of.

    A format may then have ``%(namespace)s``, ``%(run)s`` and ``%(stage)s``; each is ``-``
    where there is none. In a stage of a mapped item the stage is ``name[index]``. It
    keeps every record.

        handler.addFilter(RunLogFilter())
        handler.setFormatter(logging.Formatter("%(namespace)s/%(run)s %(stage)s %(message)s"))

    Args:
        name: As for a `logging.Filter`; it is not looked at.

    Raises:
        InvalidRequestError: *name* is no str.
    """

    def __init__(self, name: str = "") -> None:
        check_text("RunLogFilter", "name", name)
        super().__init__(name)

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        if hasattr(record, "run_uid"):
            return True  # of a stage in another process, which said so
        ctx = peek_run_context()
        record.namespace = "-" if ctx is None else ctx.namespace
        record.run = "-" if ctx is None else ctx.run.name
        record.stage = "-"
        if ctx is not None and (stage := ctx.stage) is not None:
            index = "" if stage.map_index is None else f"[{stage.map_index}]"
            record.stage = f"{stage.name}{index}"
        return True
