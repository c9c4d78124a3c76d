"""The interface between a workflow and what runs its calls: `Call` in, future out."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from runstore.arguments import unfit
from runstore.context import Lease
from runstore.executors._logs import OnLog
from runstore.executors._shared import Shared

__all__ = ["Call", "Executor", "check_count"]


def check_count(option: str, value: object) -> None:
    """Raise unless the *value* of an option is None or a whole number from 1.

    Raises:
        InvalidRequestError: It is neither.
    """
    if value is not None and (type(value) is not int or value < 1):
        raise unfit("executor_options", option, "a whole number from 1, or None", value)


@dataclass(frozen=True)
class Call:
    """One call of one stage.

    Attributes:
        function: What is called; usually bound to a run context with
            `runstore.context.bind`, so it can run on any thread or machine.
        args: Its positional arguments. They may be results of earlier futures,
            unchanged: an engine that keeps results on its workers finds its own
            handles here.
        label: Its name in messages: ``stage 'train'``.
        timeout: Seconds from when the function starts, or None.
        resources: What the call needs; engines that do not count resources ignore it.
        lease: It is revoked, where the call runs, when the call fails or is given up. What
            the call has left running can then no longer write.
        shared: What it has in common with other calls: the first positional arguments.
        decides: Whether its failure decides about the calls that have not begun: none begins
            until the caller has called `Executor.settled`.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    label: str = "the call"
    timeout: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    lease: Lease | None = None
    shared: tuple[Shared, ...] = ()
    decides: bool = False

    def here(self) -> Any:
        """Make the call in this thread, and return its result."""
        return self.function(*(one.value for one in self.shared), *self.args)


class Executor(Protocol):
    """Runs calls, for one run of a workflow. A context manager; making it starts nothing.

    A future ends with the function's result or with the error it raised. The
    error keeps its traceback; `runstore.executors.traceback_text` returns it as
    text, also if it was raised in another process. A call that takes longer than
    its timeout ends with `runstore.errors.StageTimeoutError`, and one whose
    worker dies with `runstore.errors.WorkflowError`; other calls go on.
    """

    on_log: OnLog | None
    """Called with what calls log in contexts of runs, in other processes, from any thread. It is
    set before the executor is started."""

    @property
    def name(self) -> str:
        """The value of ``run_workflow(executor=…)`` that selects it."""
        ...

    @property
    def in_process(self) -> bool:
        """Whether calls run in the caller's process, so that memory is shared."""
        ...

    @property
    def slots(self) -> int | None:
        """How many calls run at once; None if the engine queues calls itself."""
        ...

    @property
    def location(self) -> str | None:
        """Where calls run, as text for people; None if they run on this machine."""
        ...

    def start(self, needs: Mapping[str, Mapping[str, float]]) -> None:
        """Start or reach the workers, and check that they have the resources that calls need.

        If it is not called, the first call starts the workers.

        Args:
            needs: The resources of calls, by label.

        Raises:
            ExecutorUnavailableError: The workers could not be started or reached.
            InvalidRequestError: No worker has what a call needs.
        """
        ...

    def everywhere(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Call *function* once on every host or worker that may have another disk.

        Returns:
            The name of each, and the function's result there; nothing for an executor
            whose workers all use this machine's disk.
        """
        ...

    def room(self) -> int | None:
        """Return how many calls it takes now; None for as many as there are.

        It has enough to do then. Calls that wait with the caller can be dropped, and those
        that the caller has for later know how long the first ones have taken.
        """
        ...

    def settled(self, taken: Sequence[Future[Any]]) -> None:
        """Go on after calls that failed: the caller has cancelled what must not begin.

        Args:
            taken: The futures whose outcomes the caller knows; others may have failed since.
        """
        ...

    def submit_all(self, calls: Sequence[Call]) -> Sequence[Future[Any]]:
        """Start several calls as `submit` does each; quick ones of one kind may go together."""
        ...

    def submit(self, call: Call) -> Future[Any]:
        """Start *call* as soon as a slot is free; cancelling works until then.

        An engine that queues calls itself may also cancel one that runs.

        Raises:
            InvalidRequestError: The executor is closed.
            ExecutorUnavailableError: The workers could not be started or reached.
        """
        ...

    def fetch(self, held: Any) -> Any:
        """Return the value of a future's result in this process.

        Args:
            held: The result of a future, or a list of such results. Where results are values
                of this process anyway, it is returned as it is.

        Raises:
            UnsupportedValueError: It cannot be unpickled here.
            WorkflowError: It was lost with the worker that had it.
        """
        ...

    def divide(
        self, held: Any, listed: Callable[[Any], list[Any]], label: str
    ) -> Future[list[Any]]:
        """Divide a future's result into items, where it is; large items stay there.

        Args:
            held: The result of a future, or a list of such results.
            listed: Returns the items of a value.
            label: Its name in messages.

        Returns:
            A future of the items, each of which may be an argument of a call. It ends
            with the error that *listed* raised.
        """
        ...

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """Revoke *leases* in workers that outlive the executor.

        It is called for calls that were cancelled while they ran, and for a run that has ended.
        """
        ...

    def close(self, *, kill: bool = False) -> None:
        """End the workers that this executor has started; can be called again.

        Args:
            kill: Do not wait for what still runs. Processes are killed. Threads cannot be
                killed; they are left running and do not delay the program's exit.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
