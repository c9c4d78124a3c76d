"""open_executor finds executors by name and refuses what it does not know."""

import os
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
        ("celery", {}, "executor 'celery' is unknown: there is 'local'"),
        ("local", {"threads": 2}, "has no option 'threads': it has 'mode', 'workers'"),
        ("local", {"mode": "fork"}, "it is 'threads' or 'processes'"),
        ("local", {"workers": 0}, "workers=0 must be a whole number from 1"),
        ("local", {"workers": "2"}, "workers='2' must be a whole number from 1"),
        ("local", {"workers": True}, "workers=True must be a whole number from 1"),
    ],
)
def test_unknown(name: str, options: dict[str, Any], told: str) -> None:
    """A wrong name or option is refused with what there is."""
    with pytest.raises(InvalidRequestError, match=told):
        open_executor(name, options)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_not_yet(name: str) -> None:
    """Dask and Ray are known by name and said to be missing in this version."""
    with pytest.raises(MissingExtraError, match=f"{name!r} is not available in this version"):
        open_executor(name)
