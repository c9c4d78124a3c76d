"""What a run was given as a secret is in nothing that is written of it, whatever stages tell."""

import logging
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, get_run_context
from runstore.errors import StageError
from runstore.runs import read_log

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


def test_a_secret_is_masked_before_a_text_is_cut(threads: Any, flow: Any, store: Path) -> None:
    """No beginning of it stays at the end of a long error or line."""

    def long() -> None:
        key = get_run_context().config["db"]["password"]
        logging.getLogger("stages.of.test").warning((64 * 1024 - 4) * "x" + key)
        raise ValueError((2000 - len("ValueError: ") - 4) * "x" + key)

    with pytest.raises(StageError):
        threads(flow(long=long), run="r1", config={"db": {"password": SECRET}})
    assert SECRET[:4].encode() not in everything(store)
