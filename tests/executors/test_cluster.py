"""What executors on a cluster have in common, with an engine that fails."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from runstore.errors import ExecutorUnavailableError
from runstore.executors import Call
from runstore.executors._cluster import ClusterExecutor, Pending
from runstore.executors._remote import TaskSpec


class Gone(ClusterExecutor):
    """An engine that was reached and has gone away since."""

    name = "gone"
    location = None

    def _connect(self) -> None: ...

    def _disconnect(self, *, kill: bool) -> None: ...

    def _check(self, label: str, needs: Mapping[str, float]) -> None: ...

    def _send(self, pending: Pending, spec: TaskSpec, refs: list[Any]) -> None:
        raise ValueError("whose owner is unknown")

    def _gather(self, refs: list[Any]) -> list[Any]:
        raise NotImplementedError

    def _revoke(self, pending: Sequence[Pending], *, kill: bool) -> None: ...

    def everywhere(self, function: Any, *args: Any) -> Mapping[str, Any]:
        return {}


def test_a_call_that_cannot_be_sent_fails_with_an_error_of_ours() -> None:
    """Whatever the engine raises, the future ends, and closing does not wait for it."""
    with Gone() as executor:
        future = executor.submit(Call(abs, (1,), "stage 'a'"))
        with pytest.raises(ExecutorUnavailableError, match=r"stage 'a' could not be sent to gone"):
            future.result(100)
        assert isinstance(future.exception().__cause__, ValueError)  # type: ignore[union-attr]
