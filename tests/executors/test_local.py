"""The local executor, in threads and in processes, keeps the contract and cleans up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstore.errors import StageTimeoutError, UnsupportedValueError, WorkflowError
from runstore.executors import Call, Executor, LocalExecutor, open_executor, traceback_text
from runstore.executors._processes import ProcessWorker
from runstore.testing.executors import ExecutorTests


class TestThreads(ExecutorTests):
    in_process = True

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Two workers."""
        with open_executor("local", {"mode": "threads", "workers": 2}) as executor:
            yield executor


@pytest.fixture(scope="module")
def two_processes() -> Iterator[Callable[[], LocalExecutor]]:
    """Give what opens an executor, once until a test has closed it: a start takes long."""
    opened: list[LocalExecutor] = []

    def give() -> LocalExecutor:
        if not opened or opened[-1]._closed:
            opened.append(LocalExecutor("processes", 2))
        return opened[-1]

    yield give
    for executor in opened:
        executor.close()


class TestProcesses(ExecutorTests):
    in_process = False

    @pytest.fixture
    def executor(self, two_processes: Callable[[], LocalExecutor]) -> Executor:
        """Two workers."""
        return two_processes()


@pytest.fixture
def process() -> Iterator[LocalExecutor]:
    """One worker process."""
    with LocalExecutor("processes", 1) as executor:
        yield executor


def test_nothing_starts_before_the_first_call() -> None:
    """An executor that is given no call starts no thread."""
    before = threading.active_count()
    with LocalExecutor("processes", 8):
        assert before == threading.active_count()


def test_no_more_workers_than_calls() -> None:
    """One call after the other on an executor of eight starts one thread."""
    before = threading.active_count()
    with LocalExecutor("threads", 8) as executor:
        for _ in range(5):
            executor.submit(Call(abs, (1,))).result()
        assert before + 1 == threading.active_count()


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_nothing_is_left_behind(mode: Any) -> None:
    """After the block its threads and processes are gone."""
    threads = set(threading.enumerate())  # one of another test may end meanwhile
    for _ in range(3):
        with LocalExecutor(mode, 2) as executor:
            pids = {executor.submit(Call(os.getpid)).result() for _ in range(4)}
        assert set(threading.enumerate()) <= threads
        for pid in pids - {os.getpid()}:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_worker_is_reused(process: LocalExecutor) -> None:
    """Calls one after the other run in the same process."""
    pids = {process.submit(Call(os.getpid)).result() for _ in range(3)}
    assert 1 == len(pids)


def test_replaced_after_timeout(process: LocalExecutor) -> None:
    """A worker that was killed for its timeout is replaced by another."""
    first = process.submit(Call(os.getpid)).result()
    assert isinstance(
        process.submit(Call(signal.pause, timeout=0.1)).exception(), StageTimeoutError
    )
    assert first != process.submit(Call(os.getpid)).result()


def test_killed_worker_names_the_signal(process: LocalExecutor) -> None:
    """A process killed from outside is reported with the signal and the likely reason."""

    def kill_myself() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    error = process.submit(Call(kill_myself, label="stage 'big'")).exception()
    assert isinstance(error, WorkflowError)
    assert "stage 'big' did not end: its process was killed by SIGKILL" in str(error)
    assert "memory" in str(error)


def test_death_is_seen_although_the_socket_stays_open(
    process: LocalExecutor, tmp_path: Path
) -> None:
    """A worker that dies is missed also if a process it forked still holds its socket."""
    pidfile = tmp_path / "pid"

    def die_with_an_heir() -> None:
        if heir := os.fork():
            pidfile.write_text(str(heir))
            os._exit(9)
        signal.pause()

    error = process.submit(Call(die_with_an_heir)).exception()
    os.kill(int(pidfile.read_text()), signal.SIGKILL)
    assert "exit code 9" in str(error)


def test_result_that_cannot_be_pickled(process: LocalExecutor) -> None:
    """A result that cannot leave its process is an error that says what to do instead."""
    error = process.submit(Call(threading.Lock)).exception()
    assert isinstance(error, UnsupportedValueError)
    assert "returned a lock" in str(error)
    assert "object_store" in str(error)


def test_argument_that_cannot_be_pickled(process: LocalExecutor) -> None:
    """An argument that cannot reach a process is an error that names the call."""
    error = process.submit(Call(print, (threading.Lock(),), label="stage 'b'")).exception()
    assert isinstance(error, UnsupportedValueError)
    assert "stage 'b' cannot be sent to a process" in str(error)


def test_remote_traceback_is_shown(process: LocalExecutor) -> None:
    """Python's own report of an error from a process shows the traceback of that process."""
    error = process.submit(Call(int, ("x",))).exception()
    assert error is not None
    assert "invalid literal" in str(error.__cause__)
    assert "invalid literal" in traceback_text(error)


def test_a_call_may_close_its_output(process: LocalExecutor) -> None:
    """A stage that closes or replaces sys.stdout gives its result nevertheless."""

    def closes(name: str) -> int:
        getattr(sys, name).close()
        return os.getpid()

    def replaces(name: str) -> int:
        setattr(sys, name, object())
        return os.getpid()

    calls = [(do, name) for do in (closes, replaces) for name in ("stdout", "stderr")]
    found = [process.submit(Call(do, (name,))).result() for do, name in calls]
    assert 1 == len(set(found))


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the call and the reason."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with (
        LocalExecutor("processes", 1) as executor,
        pytest.raises(WorkflowError, match=r"the call was not started: no process .*No such file"),
    ):
        executor.submit(Call(abs, (1,))).result()


def test_output_is_the_callers(tmp_path: Path) -> None:
    """What a call prints in a process comes out where the caller's output goes, in order."""
    script = tmp_path / "script.py"
    script.write_text(
        "from runstore.executors import Call, LocalExecutor\n"
        "with LocalExecutor('processes', 1) as executor:\n"
        "    executor.submit(Call(print, ('from the process',))).result()\n"
        "    print('from the caller')\n"
    )
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert "from the process\nfrom the caller\n" == out.stdout
    assert "" == out.stderr


def test_workers_die_with_a_killed_caller(tmp_path: Path) -> None:
    """If the caller is killed during a call, the process of the call ends too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, signal\n"
        "from runstore.executors import Call, LocalExecutor\n"
        "def hold(pipe):\n"
        "    end = open(pipe, 'w')\n"
        "    end.write('here'); end.flush()\n"
        "    signal.pause()\n"
        "LocalExecutor('processes', 1).submit(Call(hold, (sys.argv[1],))).result()\n"
    )
    with subprocess.Popen([sys.executable, script, pipe]) as caller, pipe.open() as end:
        assert "here" == end.read(4)
        caller.kill()
        assert "" == end.read()  # the end of the file: nobody is left who could write


def test_hanging_thread_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """A program ends although a thread it gave up on never does."""
    script = tmp_path / "script.py"
    script.write_text(
        "import threading\n"
        "from runstore.executors import Call, LocalExecutor\n"
        "with LocalExecutor('threads', 1) as executor:\n"
        "    error = executor.submit(Call(threading.Event().wait, timeout=0.1)).exception()\n"
        "print(type(error).__name__)\n"
    )
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert "StageTimeoutError\n" == out.stdout


def test_there_is_no_room_until_a_failure_was_taken() -> None:
    """After a call whose failure decides, nothing else begins before the caller has seen it."""
    with LocalExecutor("threads", 2) as executor:
        assert 2 == executor.room()
        future = executor.submit(Call(lambda: 1 / 0, decides=True))
        with pytest.raises(ZeroDivisionError):
            future.result(60)
        assert 0 == executor.room()
        executor.settled([])
        assert 0 == executor.room()
        executor.settled([future])
        assert 2 == executor.room()


@pytest.mark.parametrize("arrive", ["together", "one by one"])
def test_nothing_begins_after_a_failure_that_was_sent_with_it(arrive: str, tmp_path: Path) -> None:
    """A process sends back what it was sent with a failed call, also what it receives later."""
    ran = tmp_path / "ran"

    def make(item: Any) -> float:
        with ran.open("a") as file:
            file.write("x")
        return 1 / (item if arrive == "together" else item[0])

    def call(item: int) -> Call:
        # A list is pickled by itself, and so is a message of its own.
        return Call(make, (item if arrive == "together" else [item],), decides=True)

    ended: dict[int, BaseException | None] = {}
    back: list[int] = []
    worker = ProcessWorker()
    try:
        worker.run_all(
            [call(item) for item in (1, 0, *[1] * 500)],
            lambda at, result, error: ended.update({at: error}),
            back.extend,
        )
    finally:
        worker.close()
    assert "xx" == ran.read_text()
    assert isinstance(ended[1], ZeroDivisionError)
    assert list(range(2, 502)) == sorted(back)
