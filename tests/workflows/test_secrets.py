"""What a run was given as a secret is in nothing that is written of it, whatever stages tell."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, get_run_context
from runstore.errors import StageError
from runstore.runs import read_log
from runstore.workflows import run_workflow

SECRET = "s3cr3t-of-the-run"


def leak(*_: Any) -> None:
    key = get_run_context().input["api_key"]
    logging.getLogger("stages.of.test").warning("logging in with %s", key)
    try:
        raise ConnectionError(f"https://host/?key={key}")
    except ConnectionError:
        logging.getLogger("stages.of.test").exception("refused")
        raise


def load() -> list[int]:
    return [1, 2]


def skipped(item: int) -> None:
    leak()


def everything(store: Path) -> bytes:
    return b"".join(file.read_bytes() for file in store.rglob("*") if file.is_file())


def test_no_error_and_no_log_has_a_secret(run: Any, flow: Any, store: Path) -> None:
    """Neither the record, the copies of logs, the card, nor the error that the caller gets."""
    options = {"map_on": "load", "on_item_error": "skip"}
    definition = flow(
        load=load,
        items=(skipped, {"type": "parameterized", "depends_on": "load", "options": options}),
        end=(leak, {"depends_on": "items", "retries": 1}),
    )
    definition["spec"]["card"] = True
    told: list[str] = []
    with pytest.raises(StageError) as caught:
        run(
            definition,
            run="r1",
            input={"api_key": SECRET},
            on_event=lambda event: told.append(event.message),
        )
    record = ObjectStore(store).read_run("r1", namespace="default")
    _, items, end = record.stages
    expected = "ConnectionError: https://host/?key=(not shown)"
    assert (f"stage 'end': {expected}", expected) == (record.error, end.error)
    assert {0: expected, 1: expected} == items.failed_items
    log = read_log(ObjectStore(store).backend, "default", "r1", "end")
    assert 2 == log.count("logging in with (not shown)")
    assert "key=(not shown)" in log
    assert SECRET.encode() not in everything(store)
    assert SECRET not in f"{caught.value} {caught.value.traceback}"
    assert "key=(not shown)" in caught.value.traceback
    assert SECRET not in "".join(told)
    assert any("attempt 2" in one and "(not shown)" in one for one in told)


def one_stage(name: str, target: str) -> dict[str, Any]:
    stage = {"name": "s", "target": f"{__name__}:{target}"}
    return {"kind": "workflow", "metadata": {"name": name}, "spec": {"stages": [stage]}}


def middle() -> None:
    ctx = get_run_context()
    run_workflow(one_stage("inner", "innermost"), run="inner", input={"k": ctx.input["api_key"]})


def outermost() -> None:
    ctx = get_run_context()
    definition = one_stage("middle", "middle_again")
    run_workflow(definition, run="middle", input={"k": ctx.input["api_key"]})


def middle_again() -> None:
    ctx = get_run_context()
    run_workflow(one_stage("inner", "innermost"), run="inner", input={"k": ctx.input["k"]})


def innermost() -> None:
    key = get_run_context().input["k"]
    threading.current_thread().name = f"thread of {key}"
    logging.getLogger(f"stages.{key}").warning("logging in with %s", key)
    raise ConnectionError(f"refused: {key}")


def _nothing_tells_it(store: Path, names: list[str]) -> None:
    for name in names:
        record = ObjectStore(store).read_run(name, namespace="default")
        assert SECRET not in f"{record.error} {record.stages}"
        assert "refused: (not shown)" in str(record.error)
    log = read_log(ObjectStore(store).backend, "default", "inner", "s")
    assert "stages.(not shown) s: logging in with (not shown)" in log
    assert SECRET not in log


def test_a_run_in_a_stage_masks_the_secrets_of_the_run_around(
    run: Any, flow: Any, store: Path
) -> None:
    """Also under another name, in errors, lines and names of loggers, wherever stages run."""
    with pytest.raises(StageError):
        run(flow(s=middle), run="outer", input={"api_key": SECRET})
    _nothing_tells_it(store, ["outer", "inner"])


def test_a_run_two_stages_deep_masks_them_too(
    threads: Any, flow: Any, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run between them has the secret under a name that does not say so."""
    with pytest.raises(StageError):
        threads(flow(s=outermost), run="outer", input={"api_key": SECRET})
    _nothing_tells_it(store, ["outer", "middle", "inner"])
    told = [(one.name, one.threadName, one.getMessage()) for one in caplog.records]
    assert ("stages.(not shown)", "thread of (not shown)", "logging in with (not shown)") in told
    assert SECRET not in f"{caplog.text} {told}"


def test_a_secret_is_masked_before_a_text_is_cut(threads: Any, flow: Any, store: Path) -> None:
    """No beginning of it stays at the end of a long error or line."""

    def long() -> None:
        key = get_run_context().config["db"]["password"]
        logging.getLogger("stages.of.test").warning((64 * 1024 - 4) * "x" + key)
        raise ValueError((2000 - len("ValueError: ") - 4) * "x" + key)

    with pytest.raises(StageError):
        threads(flow(long=long), run="r1", config={"db": {"password": SECRET}})
    assert SECRET[:4].encode() not in everything(store)
