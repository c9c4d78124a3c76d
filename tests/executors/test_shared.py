"""What calls have in common goes to a worker once; what goes with each call is counted here."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runstore import by_value, get_run_context, run_workflow
from runstore.errors import WorkflowError
from runstore.executors import Call, LocalExecutor, Shared
from runstore.executors._link import Link

MIB = 1 << 20


@pytest.fixture
def processes() -> Iterator[LocalExecutor]:
    """Yield an executor with one process."""
    with LocalExecutor("processes", workers=1) as executor:
        yield executor


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the bytes and messages that this process sends to its workers."""
    counted: Counter[str] = Counter()
    send = Link.send

    def counting(self: Link, parts: Any) -> None:
        counted["messages"] += 1
        counted["bytes"] += sum(memoryview(one).nbytes for part in parts for one in part)
        send(self, parts)

    monkeypatch.setattr(Link, "send", counting)
    return counted


def _plus(common: Any, number: int) -> Any:
    return len(common) + number


def _calls(common: Any, count: int, function: Callable[..., Any] = _plus) -> list[Call]:
    shared = (Shared(common, copied=True),)
    return [Call(function, (n,), f"call {n}", shared=shared) for n in range(count)]


def test_a_shared_argument_is_sent_once(processes: LocalExecutor, sent: Counter[str]) -> None:
    """10 MiB that 300 calls have in common cross once, and the calls need few messages."""
    big = np.zeros(10 * MIB, "u1")
    futures = processes.submit_all(_calls(big, 300))
    assert [big.size + n for n in range(300)] == [future.result() for future in futures]
    assert big.nbytes < sent["bytes"] < big.nbytes + 300 * 400
    assert sent["messages"] < 100


def _overwrite(common: np.ndarray[Any, Any], number: int) -> int:
    before = int(common.sum())
    common[:] = 1
    return before


@pytest.mark.extended
@pytest.mark.parametrize("size", [100, MIB])
def test_each_call_can_write_to_its_copy(processes: LocalExecutor, size: int) -> None:
    """What a call writes into a shared argument is seen by no other call."""
    futures = processes.submit_all(_calls(np.zeros(size, "u1"), 20, _overwrite))
    assert [0] * 20 == [future.result() for future in futures]


def test_what_is_not_needed_again_is_forgotten(processes: LocalExecutor) -> None:
    """A worker keeps what calls have in common as long as there can be such calls."""
    before = processes.submit(Call(_resident)).result()
    for n in range(6):
        processes.submit_all(_calls(np.full(20 * MIB, n, "u1"), 2))[1].result()
    assert processes.submit(Call(_resident)).result() - before < 70 * MIB


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _die_at_fifty(common: Any, number: int) -> int:
    if number == 50:
        os._exit(3)
    return number


def test_the_death_of_a_worker_is_one_call_s(processes: LocalExecutor) -> None:
    """Of calls that were sent together only the one that was running fails."""
    futures = processes.submit_all(_calls([], 100, _die_at_fifty))
    errors = [future.exception() for future in futures]
    assert isinstance(errors[50], WorkflowError)
    assert "call 50 did not end: its process ended with exit code 3" in str(errors[50])
    assert [None] * 99 == errors[:50] + errors[51:]
    assert list(range(51, 100)) == [future.result() for future in futures[51:]]


def _meet(pipe: str, number: int) -> str:
    if number == 60:
        return Path(pipe).read_text()
    if number == 61:
        Path(pipe).write_text("met")
    return "quick"


@pytest.mark.extended
def test_calls_behind_a_slow_one_go_to_another_worker(tmp_path: Path) -> None:
    """Two calls that wait for each other end, also if they were sent together."""
    os.mkfifo(tmp_path / "pipe")
    with LocalExecutor("processes", workers=2) as executor:
        futures = executor.submit_all(_calls(str(tmp_path / "pipe"), 80, _meet))
        assert "met" == futures[60].result(60)
        assert 79 == Counter(future.result(60) for future in futures)["quick"]


def _wait_at_thirty(pipe: str, number: int) -> int:
    if number == 30:
        Path(pipe).read_text()
    return number


def test_cancelled_calls_are_not_made(tmp_path: Path) -> None:
    """A call that was sent with others and has not begun can be cancelled: it ends, unmade."""
    os.mkfifo(tmp_path / "pipe")
    made = tmp_path / "made"
    with LocalExecutor("processes", workers=1) as executor:
        calls = _calls(str(tmp_path / "pipe"), 30, _wait_at_thirty)
        calls += [
            Call(_wait_at_thirty, (30,), shared=calls[0].shared),
            Call(_touch, (str(made),), shared=calls[0].shared),
        ]
        futures = executor.submit_all(calls)
        futures[29].result(60)
        futures[31].cancel()
        (tmp_path / "pipe").write_text("go on")
        assert 30 == futures[30].result(60)
    assert futures[31].cancelled() or futures[31].exception() is not None
    assert not made.exists()


def _touch(pipe: str, path: str) -> None:
    Path(path).touch()


def test_an_argument_that_cannot_cross_is_one_call_s(processes: LocalExecutor) -> None:
    """Of calls that are sent together only the one whose argument cannot be pickled fails."""
    shared = (Shared([]),)
    args: list[Any] = [[n] for n in range(10)]
    args[7] = threading.Lock()
    futures = processes.submit_all([Call(_kind, (arg,), "c", shared=shared) for arg in args])
    assert "c cannot be sent to a process" in str(futures[7].exception())
    assert ["list"] * 9 == [future.result() for at, future in enumerate(futures) if at != 7]


def _kind(common: Any, arg: Any) -> str:
    return type(arg).__name__


def _read_config(number: int) -> int:
    config = get_run_context().config
    config["seen"].append(number)
    return len(config["seen"]) + len(config["large"])


def _look_at_nothing(number: int) -> int:
    return number


def _numbers() -> list[int]:
    return list(range(200))


CONFIG = {"large": {f"key-{n}": "x" * 90 for n in range(10_000)}, "seen": []}


def _flow(target: Callable[..., Any], **more: Any) -> dict[str, Any]:
    mapped = {"name": "m", "target": target, "type": "parameterized", "depends_on": "n", **more}
    stages = [{"name": "n", "target": _numbers}, mapped]
    return {"metadata": {"name": "flow"}, "spec": {"stages": stages}}


@pytest.mark.extended
def test_a_run_sends_its_context_once(tmp_path: Path, sent: Counter[str]) -> None:
    """The config of a run, here a megabyte, goes to each worker once, and not with each item."""
    options = {"mode": "processes", "workers": 2}
    record = run_workflow(
        _flow(_read_config), store=tmp_path, executor_options=options, config=CONFIG
    )
    assert [10_001] * 200 == record.result  # each item has a config of its own to change
    assert sent["bytes"] < 2.5 * len(by_value.dumps(CONFIG)) + 200 * 1000


def test_threads_copy_the_config_for_who_asks(tmp_path: Path) -> None:
    """Items that do not look at their context cost no copy of it; those that do have their own."""
    copies = []
    with pytest.MonkeyPatch.context() as patch:
        from runstore.context import WorkflowRunContext

        owned = WorkflowRunContext.owned
        patch.setattr(WorkflowRunContext, "owned", lambda self: (copies.append(1), owned(self))[1])
        run_workflow(_flow(_look_at_nothing), store=tmp_path, config=CONFIG)
        assert 0 == len(copies)
        record = run_workflow(_flow(_read_config), store=tmp_path, config=CONFIG)
    assert 200 == len(copies)
    assert [10_001] * 200 == record.result
    assert [] == CONFIG["seen"]


def _fail(number: int) -> None:
    raise ValueError("y" * 5000)


def test_the_reasons_of_skipped_items_are_bounded(tmp_path: Path) -> None:
    """Every skipped item is in the record, and their reasons take a fixed room there."""
    record = run_workflow(_flow(_fail, options={"on_item_error": "skip"}), store=tmp_path)
    skipped = record.stages[1].failed_items
    assert list(range(200)) == list(skipped)
    assert sum(map(len, skipped.values())) < 70_000
    assert skipped[0].startswith("ValueError: yyy")
    assert len(skipped[0]) > 2000
    assert (tmp_path / "default" / "_runs" / f"{record.name}.json").stat().st_size < 80_000


def _megabytes(number: int) -> bytes:
    return bytes(MIB)


def _join(parts: list[bytes]) -> int:
    return sum(map(len, parts))


@pytest.mark.extended
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_a_fan_in_is_not_held_twice(processes: LocalExecutor) -> None:
    """To send 200 MiB of results to one call takes no memory for another 200 MiB here."""
    parts = [bytes(MIB) for _ in range(200)]
    peak, done = [_resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak.append(_resident())

    watcher = threading.Thread(target=watch)
    before = _resident()
    watcher.start()
    assert 200 * MIB == processes.submit(Call(_join, (parts,))).result()
    done.set()
    watcher.join()
    assert max(peak) - before < 60 * MIB
