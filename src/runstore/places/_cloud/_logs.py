"""Keep credentials out of the log: botocore logs what it signs, with key and token, at DEBUG."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hush_this_thread", "hushed"]

_here = threading.local()


class _Hushed(logging.Filter):
    """Drop what a hushed thread logs below WARNING; other users of botocore are not touched."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not getattr(_here, "hushed", False)


_FILTER = _Hushed()


def hush_this_thread() -> None:
    """Drop what botocore and aiobotocore log in this thread from now on, warnings excepted."""
    _attach()
    _here.hushed = True


@contextmanager
def hushed() -> Iterator[None]:
    """Drop what botocore logs in this thread while the block runs, warnings excepted."""
    before = getattr(_here, "hushed", False)
    _attach()
    _here.hushed = True
    try:
        yield
    finally:
        _here.hushed = before


def _attach() -> None:
    """Put the filter on each logger of botocore: a logger's filter does not hold for its children.

    Loggers appear as their modules are imported, so this is done again for each new client.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("botocore", "aiobotocore"):
            logger = logging.getLogger(name)
            if _FILTER not in logger.filters:
                logger.addFilter(_FILTER)
