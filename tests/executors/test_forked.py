"""What a forked child inherits of the connections and calls of engines: nothing."""

import os
import warnings
from pathlib import Path
from types import SimpleNamespace

from runstore.executors import _dask_tasks, _ray_connection


def in_child(look) -> str:
    """Return what *look* returns in a forked child."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in programs with threads
        pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(look()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        told = answer.read()
    assert (pid, 0) == os.waitpid(pid, 0)
    return told


def test_a_forked_child_of_a_dask_worker_makes_no_calls():
    """It would wait for them, and kill itself: they are the parent's."""
    spec = SimpleNamespace(owner="of test_forked", abandoned=False)
    _dask_tasks._calls.begin(1, spec)
    try:
        assert 1 == _dask_tasks.running(spec.owner)
        assert "0" == in_child(lambda: _dask_tasks.running(spec.owner))
        assert 1 == _dask_tasks.running(spec.owner)
    finally:
        _dask_tasks._calls.end(1)


def test_a_forked_child_does_not_end_the_parents_ray(monkeypatch, tmp_path):
    """A cluster that the parent has started, and its folder, are the parent's."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    shut_down = SimpleNamespace(shutdown=lambda: (tmp_path / "shut down").touch())
    monkeypatch.setitem(__import__("sys").modules, "ray", shut_down)
    monkeypatch.setattr(_ray_connection._connection, "users", 1)
    monkeypatch.setattr(_ray_connection._connection, "folder", str(folder))

    def disconnected() -> list[str]:
        _ray_connection.disconnect()
        return sorted(path.name for path in Path(tmp_path).iterdir())

    assert "['cluster']" == in_child(disconnected)
    assert ["shut down"] == disconnected()
