"""open_executor finds executors by name and refuses what it does not know."""

import os
import subprocess
import sys
from typing import Any

import pytest

from runstore.errors import InvalidRequestError, MissingExtraError
from runstore.executors import open_executor


def test_local_in_threads_is_the_default() -> None:
    """Without options there are threads, one per CPU."""
    executor = open_executor()
    assert "local" == executor.name
    assert executor.in_process
    assert os.cpu_count() == executor.slots


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("celery", {}, "executor 'celery' is unknown: there are 'local', 'dask', 'ray'"),
        ("local", {"threads": 2}, "has no option 'threads': it has 'mode', 'workers'"),
        ("local", {"mode": "fork"}, "mode must be 'threads' or 'processes', not 'fork'"),
        ("local", {"workers": 0}, "workers must be a whole number from 1, or None, not 0"),
        ("local", {"workers": "2"}, "workers must be a whole number from 1, or None, not '2'"),
        ("local", {"workers": True}, "workers must be a whole number from 1, or None, not True"),
        ("dask", {"adress": "x"}, "'dask' has no option 'adress': it has 'address', 'workers'"),
        ("dask", {"address": "x", "threads": 2}, "'threads' is for workers that are started"),
        ("dask", {"workers": 0}, "workers must be a whole number from 1, or None, not 0"),
        ("dask", {"threads": "2"}, "threads must be a whole number from 1, or None, not '2'"),
        ("ray", {"threads": 2}, "executor 'ray' has no option 'threads'"),
        ("ray", {"address": "x", "workers": 2}, "'workers' is for a cluster that is started"),
        ("ray", {"workers": -1}, "workers must be a whole number from 1, or None, not -1"),
    ],
)
def test_unknown(name: str, options: dict[str, Any], told: str) -> None:
    """A wrong name or option is refused with what there is."""
    with pytest.raises(InvalidRequestError, match=told):
        open_executor(name, options)


@pytest.mark.parametrize(("name", "engine"), [("dask", "distributed"), ("ray", "ray")])
def test_engine_that_is_not_installed(
    name: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the engine's package the error says how to install it, and what works without."""
    monkeypatch.setattr("runstore.executors.find_spec", {}.get)
    with pytest.raises(
        MissingExtraError, match=rf"needs '{engine}': pip install 'runstore\[{name}"
    ):
        open_executor(name)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_engines_are_asleep(name: str) -> None:
    """Making an executor neither imports nor starts its engine."""
    script = (
        "import sys\n"
        "from runstore.executors import open_executor\n"
        f"executor = open_executor({name!r}, {{'workers': 2}})\n"
        "executor.close()\n"
        "print([name for name in ('dask', 'distributed', 'ray') if name in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]\n" == out.stdout


def test_dashboard_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard of Ray without its packages is an error with the line that installs them."""
    pytest.importorskip("ray")
    monkeypatch.setattr("runstore.executors._ray.find_spec", {}.get)
    with pytest.raises(MissingExtraError, match=r"pip install 'ray\[default\]'"):
        open_executor("ray", {"dashboard": True})
