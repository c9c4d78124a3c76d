"""What stages log reaches the caller's logging, from wherever they run, and is kept."""

import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, bind, run_workflow
from runstore.context import RunLogFilter, new_run
from runstore.errors import StageError, StorageError
from runstore.executors import LogLine
from runstore.runs import read_log
from runstore.workflows._logs import RunLogs

MAPPED = {"type": "parameterized"}


class Kept(logging.Handler):
    """Keeps the records that reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(RunLogFilter())
        self.setFormatter(logging.Formatter("%(namespace)s/%(run)s %(stage)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Any:
    """Keep what reaches a logger of the caller, from INFO on."""
    logger, handler = logging.getLogger("stages.of.test"), Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def work(item: int) -> int:
    """Log a line of each level, one with an error, and one from a thread."""
    log = logging.getLogger("stages.of.test")
    log.debug("not wanted %d", item)
    log.info("wanted %d", item)
    try:
        raise ValueError("on purpose")
    except ValueError:
        log.exception("failed")
    thread = threading.Thread(target=bind(log.warning), args=("from a thread",))
    thread.start()
    thread.join()
    return item


def check_lines(kept: Kept, run: str) -> None:
    """Check that the caller has the lines of `work` for two items."""
    for item in (0, 1):
        label = f"work[{item}]"
        mine = [one for one in kept.records if one.stage == label]  # type: ignore[attr-defined]
        told = [(one.levelname, one.getMessage()) for one in mine]
        assert [
            ("INFO", f"wanted {item}"),
            ("ERROR", "failed"),
            ("WARNING", "from a thread"),
        ] == told
        assert f"default/{run} {label} wanted {item}" == kept.format(mine[0])
        assert "ValueError: on purpose" in kept.format(mine[1])
        assert "work" == mine[0].funcName


def check_copy(store: Path, record: Any) -> None:
    """Check that the record points to a copy of the lines."""
    stage = record.stages[1]
    assert f"default/_logs/{record.name}/work.log" == stage.logs
    assert record.stages[0].logs is None
    text = read_log(ObjectStore(str(store)).backend, "default", record.name, "work")
    assert (store / stage.logs).read_text() == text
    for told in ("INFO    stages.of.test work[1]: wanted 1", "work[0]: from a thread", "Traceback"):
        assert told in text
    assert "not wanted" not in text
    stored = ObjectStore(str(store)).read_run(record.name, namespace="default")
    assert stage.logs == stored.stages[1].logs


def flow_of(flow: Any) -> Any:
    """Return a workflow of two items."""
    return flow(items=lambda: [0, 1], work=(work, MAPPED))


def test_lines_reach_the_caller(run: Any, flow: Any, kept: Kept, store: Path) -> None:
    """From threads and processes: namespace, run, stage, level and traceback; and a copy."""
    record = run(flow_of(flow), run="r1")
    check_lines(kept, "r1")
    check_copy(store, record)


@pytest.mark.extended
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_lines_of_engines(engine: str, flow: Any, kept: Kept, store: Path) -> None:
    """From the workers of Dask and Ray likewise."""
    pytest.importorskip("distributed" if engine == "dask" else "ray")
    record = run_workflow(
        flow_of(flow), store=store, executor=engine, executor_options={"workers": 1}, run="r1"
    )
    check_lines(kept, "r1")
    check_copy(store, record)


def test_lines_of_a_stage_that_was_killed(flow: Any, kept: Kept, store: Path) -> None:
    """The last line of a process that dies is there, in the caller's logging and in the copy."""

    def die() -> None:
        logging.getLogger("stages.of.test").warning("last words")
        os._exit(3)

    with pytest.raises(StageError):
        run_workflow(
            flow(die=die), store=store, executor_options={"mode": "processes"}, run="killed"
        )
    assert ["last words"] == [one.getMessage() for one in kept.records]
    assert "last words" in read_log(ObjectStore(str(store)).backend, "default", "killed", "die")


def test_deleted_with_its_run(threads: Any, flow: Any, kept: Kept, store: Path) -> None:
    """Of a deleted run nothing is left, its logs included."""
    threads(flow_of(flow), run="r1")
    ObjectStore(str(store)).delete_run("r1", namespace="default")
    assert [] == [path for path in store.rglob("*") if path.is_file() and "r1" in str(path)]


def test_cleaned_up_with_its_run(threads: Any, flow: Any, kept: Kept, store: Path) -> None:
    """What clean-up removes of a run are its logs, too, and no other run's."""
    for run in ("r1", "r2"):
        threads(flow_of(flow), run=run)
    ObjectStore(str(store)).plan_gc(keep_last=1).apply()
    assert ["r2"] == [path.name for path in (store / "default" / "_logs").iterdir()]


@pytest.mark.parametrize("mode", ["threads", "processes"])
@pytest.mark.parametrize("configured", [True, False])
def test_each_line_is_shown_once(mode: str, configured: bool, tmp_path: Path) -> None:
    """Whether stages or the caller set up logging, standard error shows a line once."""
    (tmp_path / "stages.py").write_text(
        textwrap.dedent(
            f"""
            import logging
            if {configured}:
                logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

            def one():
                logging.getLogger("a").warning("warned")

            def two():
                logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
                logging.getLogger("a").info("informed")
            """
        )
    )
    (tmp_path / "flow.yaml").write_text(
        "metadata: {name: flow}\n"
        "spec: {stages: [{name: one, target: stages.one}, "
        "{name: two, target: stages.two, depends_on: one}]}\n"
    )
    program = (
        "from runstore import run_workflow\n"
        f"run_workflow('flow.yaml', executor_options={{'mode': {mode!r}, 'workers': 1}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert 1 == done.stderr.count("warned")
    assert 1 == done.stderr.count("informed")


def test_logging_is_as_before(threads: Any, flow: Any) -> None:
    """After a run the factory of log records and the last resort are those of before."""
    before = logging.getLogRecordFactory(), logging.lastResort, logging.getLogger().level
    threads(flow(a=lambda: logging.getLogger("a").info("x")))
    assert before == (logging.getLogRecordFactory(), logging.lastResort, logging.getLogger().level)


def test_very_many_lines_are_bounded(
    threads: Any, flow: Any, store: Path, monkeypatch: Any
) -> None:
    """Of very many lines the first and the last are kept, and how many are left out is said."""
    monkeypatch.setattr("runstore.workflows._logs._MOST", 2000)

    def chatty() -> None:
        for number in range(500):
            logging.getLogger("chatty").warning("line %d.", number)

    threads(flow(a=chatty), run="r1")
    text = read_log(ObjectStore(str(store)).backend, "default", "r1", "a")
    assert len(text) < 4200
    assert "line 0." in text
    assert "line 499." in text
    assert "lines are left out" in text


def test_an_outage_of_the_store_loses_no_line(store: Path, monkeypatch: Any) -> None:
    """A copy that was not written is due again, and is written at the next time, whole."""
    objects = ObjectStore(str(store))
    run = new_run("w", namespace="default", name="r1")
    logs = RunLogs(run, objects, every=0.0)
    put, down = objects.backend.put, [True]

    def put_or_fail(*args: Any, **options: Any) -> Any:
        if down:
            raise StorageError("it is down")
        return put(*args, **options)

    monkeypatch.setattr(objects.backend, "put", put_or_fail)
    said = LogLine(
        *(run.uid, "default", "r1", "a", None, 1, "a", logging.WARNING, 0.0),
        *("said while it was down", "a.py", 1, None, None, None, None, True),
    )
    logs.take(said)
    assert not logs.save_due()
    assert 0 == logs.save("a")
    assert logs.due is not None, "it is tried again, though nothing more is logged"
    down.clear()
    assert 1 == logs.save()
    assert 0 == logs.save()
    assert "said while it was down" in read_log(objects.backend, "default", "r1", "a")
