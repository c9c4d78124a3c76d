"""Stages that leave something running, which tries to write when it is told to, by files."""

import threading
import time
from pathlib import Path
from typing import Any

from runstore import bind, get_run_context, object_store
from runstore.errors import StaleRunError

LONG = 100.0  # seconds: a test that waits longer has failed


def await_file(path: Path) -> str:
    """Wait for a file with something in it, and return what."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise TimeoutError(path)


def try_to_put(folder: Path) -> None:
    """When told to, put over what is there, and say what came of it."""
    await_file(folder / "go")
    told = []
    for scope in ("run", "namespace"):
        try:
            object_store.put("x", "old", scope=scope)
            told.append("written")
        except StaleRunError as exc:
            told.append(f"refused: {exc}")
    (folder / "told.tmp").write_text("\n".join(told))
    (folder / "told.tmp").rename(folder / "told")


def say_and_try(folder: Path) -> None:
    """Say that it has begun, then as `try_to_put`."""
    (folder / "begun").write_text("begun")
    try_to_put(folder)


def leave_a_thread() -> Path:
    """Start a thread that is in this run and outlives the stage; return the folder of its files."""
    folder = Path(get_run_context().input["folder"])
    threading.Thread(target=bind(try_to_put), args=(folder,), daemon=True).start()
    return folder


def put_new() -> None:
    """Put what is to stay."""
    object_store.put("x", "new")
    object_store.put("x", "new", scope="namespace")


def attempt() -> int:
    """Return which attempt this is."""
    stage = get_run_context().stage
    assert stage is not None
    return stage.attempt


def fail_then_succeed() -> str:
    """Leave a thread and fail; then put, let that thread try, and return what it was told."""
    folder = Path(get_run_context().input["folder"])
    if attempt() == 1:
        leave_a_thread()
        raise ConnectionError("try again")
    put_new()
    (folder / "go").write_text("go")
    return await_file(folder / "told")


def stall_then_succeed() -> str:
    """Leave a thread and take too long; then as `fail_then_succeed`."""
    folder = Path(get_run_context().input["folder"])
    if attempt() == 1:
        leave_a_thread()
        stall()
    put_new()
    (folder / "go").write_text("go")
    return await_file(folder / "told")


def stall() -> None:
    """Take longer than any timeout, in steps in which a thread can be interrupted."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.01)


def leave() -> None:
    """Put, leave a thread, and end well."""
    put_new()
    leave_a_thread()


def two() -> list[int]:
    """Give two items."""
    put_new()
    return [0, 1]


def fail_beside(item: int) -> None:
    """Let item 1 begin, then fail with item 0; item 1 goes on as if nothing had happened."""
    folder = Path(get_run_context().input["folder"])
    if item == 0:
        await_file(folder / "begun")
        raise LookupError("no such item")
    (folder / "begun").write_text("begun")
    try_to_put(folder)


def flow(target: Any, **fields: Any) -> dict[str, Any]:
    """Make a workflow of one stage."""
    stages = [{"name": "s", "target": target, **fields}]
    return {"kind": "workflow", "metadata": {"name": "left"}, "spec": {"stages": stages}}


MAPPED = {
    "kind": "workflow",
    "metadata": {"name": "mapped"},
    "spec": {
        "stages": [
            {"name": "two", "target": two},
            {"name": "s", "target": fail_beside, "type": "parameterized"},
        ]
    },
}
