"""A small orchestrator, as another package could bring it with its resolver."""

import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from runstore.context import resolvers
from runstore.context.resolvers import Found, Here

__all__ = ["Small", "small_orchestrator"]


class Small:
    """A resolver of an orchestrator whose run is what `now` says."""

    MODULE = "small_orchestrator"

    def __init__(self) -> None:
        self.now: Found | None = None
        self.described = 0

    def here(self) -> Here | None:
        """Return the run."""
        now = self.now
        return None if now is None else Here((now.uid, now.stage, now.attempt), self._describe)

    def _describe(self) -> Found:
        self.described += 1
        assert self.now is not None
        return self.now


def small_orchestrator(monkeypatch: pytest.MonkeyPatch, url: Any) -> Iterator[Small]:
    """Yield an orchestrator that another package has brought a resolver for; a fixture is this.

    Args:
        monkeypatch: That of the test.
        url: The store.
    """
    resolver = Small()
    monkeypatch.setenv("RUNSTORE_URL", str(url))
    monkeypatch.setitem(sys.modules, Small.MODULE, ModuleType(Small.MODULE))
    monkeypatch.setattr(EntryPoint, "load", lambda _: resolver)
    entry = EntryPoint("small", "nowhere:resolver", "runstore.contexts")
    resolvers._used.cache_clear()
    brought = cache(lambda: {"small": entry})
    brought()
    monkeypatch.setattr(resolvers, "_brought", brought)
    resolvers._contexts.drop(lambda *_: True)  # of another test, whose runs have the same ids
    yield resolver
    resolvers._contexts.drop(lambda *_: True)
    resolvers._used.cache_clear()
