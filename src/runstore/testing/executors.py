"""What every executor of `run_workflow` must do.

Subclass `ExecutorTests` in a test file and give it the executor:

    class TestMine(ExecutorTests):
        @pytest.fixture
        def executor(self) -> Iterator[Executor]:
            with MyExecutor(workers=2) as executor:
                yield executor

Give it at least two workers. Calls meet at named pipes, so nothing here
depends on how fast a machine is.
"""

import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import wait
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest

from runstore.context import (
    Lease,
    Metadata,
    Stage,
    StoreAddress,
    Workflow,
    WorkflowRunContext,
    WorkflowSpec,
    bind,
    find_run_context,
    get_run_context,
    new_run,
)
from runstore.errors import InvalidRequestError, StageTimeoutError, WorkflowError
from runstore.executors import Call, Executor, traceback_text

__all__ = ["ExecutorTests"]


class ExecutorTests(ABC):
    """The contract of an executor, as tests."""

    in_process: ClassVar[bool]
    """Whether calls run in the caller's process."""

    tells_exit_codes: ClassVar[bool] = True
    """Whether the error for a dead process says how it died; engines often do not know."""

    @pytest.fixture
    @abstractmethod
    def executor(self) -> Any:
        """Yield an open `Executor` with two workers, and close it afterwards."""

    def test_result_comes_back(self, executor: Executor) -> None:
        """What the function returns for its arguments is what the future gives."""
        future = executor.submit(Call(divmod, (17, 5)))
        assert (3, 2) == executor.fetch(future.result())

    def test_results_are_accepted_as_arguments(self, executor: Executor) -> None:
        """What a future gave can be passed on to the next call as it came."""
        first = executor.submit(Call(divmod, (17, 5))).result()
        assert [3, 2] == executor.fetch(executor.submit(Call(list, (first,))).result())

    def test_a_list_of_results(self, executor: Executor) -> None:
        """A list of what futures gave can be fetched as a whole, and be an argument."""
        held = [executor.submit(Call(abs, (-n,))).result() for n in range(3)]
        assert [0, 1, 2] == executor.fetch(held)
        assert 3 == executor.fetch(executor.submit(Call(sum, (held,))).result())

    @pytest.mark.parametrize("size", [1, 600_000])
    def test_a_result_is_divided(self, executor: Executor, size: int) -> None:
        """The items of a result can each be an argument, whether they are small or large."""
        held = executor.submit(Call(_blocks, (size,))).result()
        items = executor.divide(held, list, "blocks").result()
        lengths = [executor.submit(Call(len, (item,))).result() for item in items]
        assert [size, size + 1, size + 2] == executor.fetch(lengths)

    def test_a_list_of_results_is_divided(self, executor: Executor) -> None:
        """A list of what futures gave is divided into these."""
        held = [executor.submit(Call(abs, (-n,))).result() for n in range(3)]
        items = executor.divide(held, list, "numbers").result()
        assert [0, 1, 2] == executor.fetch(items)

    def test_what_cannot_be_divided(self, executor: Executor) -> None:
        """The error of who should give the items is the future's."""
        held = executor.submit(Call(abs, (-1,))).result()
        error = executor.divide(held, list, "a number").exception()
        assert isinstance(error, TypeError)

    def test_start(self, executor: Executor) -> None:
        """An executor can be started before its first call, and more than once."""
        executor.start({})
        executor.start({"stage 'a'": {}})
        assert 1 == executor.fetch(executor.submit(Call(abs, (-1,))).result())

    def test_many_more_calls_than_workers(self, executor: Executor) -> None:
        """A hundred calls all end, each with its own result."""
        futures = [executor.submit(Call(abs, (-n,))) for n in range(100)]
        assert list(range(100)) == [executor.fetch(future.result()) for future in futures]

    def test_local_functions_cross(self, executor: Executor) -> None:
        """Closures can be submitted, wherever they run."""
        factor = 3
        future = executor.submit(Call(lambda number: number * factor, (2,)))
        assert 6 == executor.fetch(future.result())

    def test_two_calls_run_side_by_side(self, executor: Executor, tmp_path: Path) -> None:
        """Two calls that wait for each other both end."""
        pipe = _pipe(tmp_path)
        futures = [executor.submit(Call(role, (pipe,))) for role in (_say, _hear)]
        assert "met" == executor.fetch(futures[1].result())

    def test_own_error_comes_back(self, executor: Executor) -> None:
        """The future raises the function's error: its type, its message, its traceback."""
        error = executor.submit(Call(_fail)).exception()
        assert isinstance(error, LookupError)
        assert ("no luck",) == error.args
        assert "in _fail" in traceback_text(error)
        assert "no luck" in traceback_text(error)
        assert "in _supervise" not in traceback_text(error)

    def test_error_that_cannot_be_pickled(self, executor: Executor) -> None:
        """An error that cannot cross is neither lost nor hangs: type and text remain."""
        error = executor.submit(Call(_fail_stubbornly)).exception()
        assert "Stubborn" in traceback_text(error or ValueError())
        assert "cannot cross" in str(error)

    def test_exit_is_an_error(self, executor: Executor) -> None:
        """A function that calls sys.exit() fails; the executor goes on."""
        assert isinstance(executor.submit(Call(sys.exit, (3,))).exception(), SystemExit)
        assert 1 == executor.fetch(executor.submit(Call(abs, (-1,))).result())

    def test_timeout(self, executor: Executor, tmp_path: Path) -> None:
        """A call that outlives its timeout ends with StageTimeoutError; the executor goes on."""
        pipe = _pipe(tmp_path)
        error = executor.submit(Call(_hear, (pipe,), label="stage 'slow'", timeout=0.2)).exception()
        assert isinstance(error, StageTimeoutError)
        assert "stage 'slow'" in str(error)
        assert "0.2 s" in str(error)
        if executor.in_process:
            _say(pipe)  # lets the abandoned thread end
        assert 1 == executor.fetch(executor.submit(Call(abs, (-1,), timeout=60)).result())

    def test_a_call_that_fails_loses_its_lease(self, executor: Executor, tmp_path: Path) -> None:
        """What a failed call has left running can no longer write, where it ran."""
        lease = Lease(f"{tmp_path}", "the call")
        pipe = _pipe(tmp_path)
        executor.submit(Call(_fail_and_leave, (lease, pipe), lease=lease)).exception()
        assert "it failed and was given up" == _hear(pipe)
        lease.revoke("the test is over")

    def test_error_within_timeout(self, executor: Executor) -> None:
        """An error keeps its traceback also if the call has a timeout."""
        error = executor.submit(Call(_fail, timeout=60)).exception()
        assert isinstance(error, LookupError)
        assert "in _fail" in traceback_text(error)

    def test_death_of_a_worker(self, executor: Executor) -> None:
        """A function that kills its process fails; the executor goes on."""
        if self.in_process:
            return  # it would kill the tests
        error = executor.submit(Call(os._exit, (7,), label="stage 'doomed'")).exception()
        assert isinstance(error, WorkflowError)
        assert "stage 'doomed'" in str(error)
        if self.tells_exit_codes:
            assert "exit code 7" in str(error)
        assert 1 == executor.fetch(executor.submit(Call(abs, (-1,))).result())

    def test_in_process_is_true(self, executor: Executor) -> None:
        """What an executor says about sharing the caller's process is so."""
        assert self.in_process == executor.in_process
        pid = executor.fetch(executor.submit(Call(os.getpid)).result())
        assert self.in_process == (pid == os.getpid())

    def test_each_call_in_its_context(self, executor: Executor) -> None:
        """Reused workers see the run a call was bound to, and none if it was bound to none."""
        names = [f"run-{n}" for n in range(8)]
        calls = [Call(bind(_run_name, _context(name))) for name in names]
        futures = [executor.submit(call) for call in calls]
        assert names == [executor.fetch(future.result()) for future in futures]
        assert executor.fetch(executor.submit(Call(_is_outside)).result())

    def test_variables_do_not_leak(self, executor: Executor) -> None:
        """A context variable set by one call is not seen by a later one."""
        wait([executor.submit(Call(_leave_a_trace)) for _ in range(4)])
        futures = [executor.submit(Call(_find_a_trace)) for _ in range(4)]
        assert [None] * 4 == [executor.fetch(future.result()) for future in futures]

    def test_close_waits(self, executor: Executor) -> None:
        """After close() every call has ended."""
        futures = [executor.submit(Call(abs, (-n,))) for n in range(10)]
        executor.close()
        assert all(future.done() for future in futures)

    def test_closed(self, executor: Executor) -> None:
        """close() can be repeated; a closed executor takes no calls."""
        executor.close()
        executor.close(kill=True)
        with pytest.raises(InvalidRequestError, match="stage 'late' was not started"):
            executor.submit(Call(abs, (1,), label="stage 'late'"))

    def test_kill(self, executor: Executor, tmp_path: Path) -> None:
        """close(kill=True) returns although calls still run, and cancels what waits."""
        begun = [_pipe(tmp_path, name) for name in ("begun0", "begun1")]
        never = [_pipe(tmp_path, name) for name in ("never0", "never1")]
        running = [
            executor.submit(Call(_say_and_hear, pipes)) for pipes in zip(begun, never, strict=True)
        ]
        waiting = executor.submit(Call(abs, (1,)))
        for pipe in begun:
            _hear(pipe)
        executor.close(kill=True)
        assert waiting.cancelled()
        if self.in_process:
            for pipe in never:
                _say(pipe)  # lets the abandoned threads end
        for future in running:
            ended_well = not future.cancelled() and future.exception() is None
            assert self.in_process == ended_well


class Stubborn(Exception):  # noqa: N818 - an error that cannot be pickled
    """An error that says no to pickle."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("never")


_trace: ContextVar[str | None] = ContextVar("trace", default=None)


def _fail() -> NoReturn:
    raise LookupError("no luck")


def _fail_and_leave(lease: Lease, pipe: Path) -> NoReturn:
    """Fail, and let a thread say what becomes of the lease."""

    def wait() -> None:
        while lease.revoked is None:
            time.sleep(0.005)
        pipe.write_text(lease.revoked)

    threading.Thread(target=wait, daemon=True).start()
    raise LookupError("no luck")


def _fail_stubbornly() -> NoReturn:
    raise Stubborn("cannot cross")


def _blocks(size: int) -> list[bytes]:
    return [bytes(size + n) for n in range(3)]


def _leave_a_trace() -> None:
    _trace.set("here")


def _find_a_trace() -> str | None:
    return _trace.get()


def _run_name() -> str:
    return get_run_context().run.name


def _is_outside() -> bool:
    return find_run_context() is None


def _pipe(folder: Path, name: str = "pipe") -> Path:
    """Make a named pipe: who opens one end waits for someone to open the other."""
    pipe = folder / name
    os.mkfifo(pipe)
    return pipe


def _say(pipe: Path) -> None:
    pipe.write_text("met")


def _hear(pipe: Path) -> str:
    return pipe.read_text()


def _say_and_hear(to: Path, at: Path) -> str:
    _say(to)
    return _hear(at)


def _context(run: str) -> WorkflowRunContext:
    stage = Stage(name="only", target="builtins:print")
    return WorkflowRunContext(
        namespace="suite",
        definition=Workflow(metadata=Metadata(name="suite"), spec=WorkflowSpec(stages=(stage,))),
        run=new_run("suite", namespace="suite", name=run),
        store=StoreAddress(url="memory://suite"),
    )
