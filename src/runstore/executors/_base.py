"""The seam between a workflow and what runs its calls: `Call` in, future out."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["Call", "Executor"]


@dataclass(frozen=True)
class Call:
    """One call of one stage.

    Attributes:
        function: What is called; usually bound to a run context with
            `runstore.context.bind`, so it can run on any thread or machine.
        args: Its positional arguments. They may be what earlier calls' futures
            gave, as it came: an engine that keeps results on its workers gets
            its own handles back here.
        label: What it is called in messages: ``stage 'train'``.
        timeout: Seconds from when the function starts, or None.
        resources: What the call needs; engines without such a notion ignore it.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    label: str = "the call"
    timeout: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


class Executor(Protocol):
    """Where calls run. Made without starting anything; a context manager, for one run.

    A future ends with the function's result or with the error it raised. The
    error keeps its traceback; `runstore.executors.traceback_text` gives it as
    text, also if it was raised in another process. A call that takes longer than
    its timeout ends with `runstore.errors.StageTimeoutError`, and one whose
    worker dies with `runstore.errors.WorkflowError`; neither takes other calls
    with it.
    """

    @property
    def name(self) -> str:
        """What `run_workflow(executor=…)` calls it."""
        ...

    @property
    def in_process(self) -> bool:
        """Whether calls run in the caller's process, so that memory is shared."""
        ...

    @property
    def slots(self) -> int | None:
        """How many calls run at once; None if the engine queues calls itself."""
        ...

    def submit(self, call: Call) -> Future[Any]:
        """Start *call* as soon as a slot is free; cancelling works until then.

        Raises:
            InvalidRequestError: The executor is closed.
        """
        ...

    def fetch(self, held: Any) -> Any:
        """Bring to this process what a future gave; where results come here anyway, *held*."""
        ...

    def close(self, *, kill: bool = False) -> None:
        """Let go of every worker; can be repeated.

        Args:
            kill: Do not wait for what still runs: processes are killed, threads,
                which cannot be, are left to themselves and do not hold up the exit.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
