"""The seam between a workflow and what runs its calls: `Call` in, future out."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from runstore.arguments import unfit
from runstore.context import Lease

__all__ = ["Call", "Executor", "check_count"]


def check_count(option: str, value: object) -> None:
    """Refuse a *value* of an option that is neither None nor a whole number from 1.

    Raises:
        InvalidRequestError: It is refused.
    """
    if value is not None and (type(value) is not int or value < 1):
        raise unfit("executor_options", option, "a whole number from 1, or None", value)


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
        lease: Revoked, where the call runs, when it fails or is given up: what it left
            running can then no longer write.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    label: str = "the call"
    timeout: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    lease: Lease | None = None


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

    @property
    def location(self) -> str | None:
        """Where calls run, for people to read; None if that is this machine and no more."""
        ...

    def start(self, needs: Mapping[str, Mapping[str, float]]) -> None:
        """Start or reach the workers, and see that they have what calls will need.

        Without it the first call starts them.

        Args:
            needs: The resources of calls, by label.

        Raises:
            ExecutorUnavailableError: There are no workers to be had.
            InvalidRequestError: No worker has what a call needs.
        """
        ...

    def everywhere(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Call *function* once in every place that may not share this machine's disk.

        Returns:
            The name of each place, and what the function gave there; nothing for an
            executor that surely shares it.
        """
        ...

    def submit(self, call: Call) -> Future[Any]:
        """Start *call* as soon as a slot is free; cancelling works until then.

        An engine that queues calls itself may let go of one that runs, too.

        Raises:
            InvalidRequestError: The executor is closed.
            ExecutorUnavailableError: There are no workers to be had.
        """
        ...

    def fetch(self, held: Any) -> Any:
        """Bring to this process what a future gave; where results come here anyway, *held*.

        Args:
            held: What a future gave, or a list of such.
        """
        ...

    def divide(
        self, held: Any, listed: Callable[[Any], list[Any]], label: str
    ) -> Future[list[Any]]:
        """Take what a future gave apart, where it is; large items stay there.

        Args:
            held: What a future gave, or a list of such.
            listed: Gives the items of a value.
            label: What it is called in messages.

        Returns:
            A future of the items, each of which may be an argument of a call. It ends
            with the error that *listed* raised.
        """
        ...

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """Revoke *leases* in workers that outlive the executor; who is gone needs no telling.

        For calls that were cancelled while they ran, and for a run that has ended.
        """
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
