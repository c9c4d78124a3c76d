"""A cluster of one's own: started for a run from a plain script, and gone after it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runstore import ObjectStore

# Without the guard that programs with processes usually need, and with a path of its own.
SCRIPT = """
import sys
from pathlib import Path
from runstore import get_run_context, object_store, run_workflow

def hold():
    if MODE == "hold":
        import threading
        end = open(PIPE, "w")
        end.write("here"); end.flush()
        threading.Event().wait()
    import beside
    object_store.put("who", get_run_context().run.name)
    print("said by a stage")
    return beside.VALUE

MODE, PIPE, STORE, EXECUTOR = sys.argv[1:]
stages = [{"name": "hold", "target": hold}]
record = run_workflow(
    {"metadata": {"name": "w"}, "spec": {"stages": stages}}, run="r1", store=STORE,
    executor=EXECUTOR, executor_options={"workers": 1},
)
print("result", record.result)
"""

pytestmark = [
    pytest.mark.parametrize(
        "executor",
        [
            pytest.param("dask", marks=pytest.mark.xdist_group("dask")),
            pytest.param("ray", marks=pytest.mark.xdist_group("ray")),
        ],
    )
]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script, with a module beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside.py").write_text("VALUE = 7\n")
    (folder / "script.py").write_text(SCRIPT)
    return folder / "script.py"


def left(mark: str) -> list[str]:
    """Give the command lines of processes that were started with *mark* in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or is another user's
    return found


@pytest.mark.extended
def test_from_a_script(executor: str, script: Path, tmp_path: Path) -> None:
    """A script needs no guard, finds the modules beside it, and leaves no process behind."""
    mark = f"MARK={tmp_path}"
    out = subprocess.run(
        [sys.executable, script, "go", "no pipe", tmp_path / "store", executor],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MARK": str(tmp_path)},
        timeout=400,
    )
    assert "result 7" in out.stdout.splitlines()
    if executor == "dask":  # Ray fetches it from files now and then, and not when it is ended
        assert "said by a stage" in out.stdout
    assert 1 == out.stdout.count("result")  # the script was run by nobody else
    assert "r1" == ObjectStore(tmp_path / "store").at(namespace="default", run="r1").get("who")
    assert [] == left(mark)


@pytest.mark.extended
def test_sigterm(executor: str, script: Path, tmp_path: Path) -> None:
    """SIGTERM during a stage ends the program by it, its cluster with it, and records the run."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, script, "hold", pipe, tmp_path / "store", executor]
    environment = {**os.environ, "MARK": str(tmp_path)}
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as caller,
        pipe.open() as end,
    ):
        assert "here" == end.read(4)
        caller.send_signal(signal.SIGTERM)
        assert "" == end.read()  # nobody is left who could write
    # Ray has a handler of its own, which calls sys.exit().
    assert {"dask": -signal.SIGTERM, "ray": signal.SIGTERM}[executor] == caller.returncode
    stored = ObjectStore(tmp_path / "store").read_run("r1", namespace="default")
    assert ("failed", "interrupted") == (stored.state, stored.error)
    assert [] == left(f"MARK={tmp_path}")


@pytest.mark.extended
def test_ctrl_c(executor: str, script: Path, tmp_path: Path) -> None:
    """Ctrl-C during a stage ends the program, its cluster with it, and records the run."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, script, "hold", pipe, tmp_path / "store", executor]
    environment = {**os.environ, "MARK": str(tmp_path)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as caller:
        with pipe.open() as end:
            assert "here" == end.read(4)
            caller.send_signal(signal.SIGINT)
            assert "" == end.read()  # nobody is left who could write
        _, told = caller.communicate()
    # On a busy machine asyncio tells of what was cancelled after that.
    assert "\nKeyboardInterrupt\n" in f"{told}\n"
    stored = ObjectStore(tmp_path / "store").read_run("r1", namespace="default")
    assert ("failed", "interrupted") == (stored.state, stored.error)
    assert [] == left(f"MARK={tmp_path}")
