"""What an environment with one extra can do, run inside it: ``python trips.py EXTRA``.

It imports nothing of the tests, and each trip only what its extra installs.
"""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def _view() -> Any:
    from runstore import ObjectStore

    return ObjectStore(Path("store")).at(namespace="dev", run="r1")


def _trip(value: Any, name: str = "x") -> Any:
    view = _view()
    view.put(name, value)
    return view.get(name)


def none() -> None:
    """Without an extra: plain values, tables, arrays; and what is missing is said with the line."""
    import numpy as np
    import pyarrow as pa

    from runstore.errors import MissingExtraError

    assert {"a": [1, None]} == _trip({"a": [1, None]})
    assert [3, 4] == _trip(np.array([3, 4])).tolist()
    assert pa.table({"a": [1]}) == _trip(pa.table({"a": [1]}))
    for optional in ("pandas", "pytest", "s3fs", "gcsfs", "ray", "distributed"):
        assert find_spec(optional) is None, optional
    try:
        import runstore.testing
    except MissingExtraError as exc:
        assert "pip install 'runstore[testing]'" in str(exc), exc
    else:
        raise AssertionError(f"{runstore.testing} was imported")
    _refused("runstore[pandas]", lambda: _view().put("x.csv", "a,b"))
    _refused("runstore[s3]", lambda: __import__("runstore").ObjectStore("s3://bucket").runs())
    for extra, url in _PLACES.items():
        _refused(f"runstore[{extra}]", lambda url=url: __import__("runstore").ObjectStore(url))


def _refused(line: str, call: Callable[[], Any]) -> None:
    from runstore.errors import MissingExtraError

    try:
        call()
    except MissingExtraError as exc:
        assert line in str(exc), exc
    else:
        raise AssertionError(f"nothing asked for {line}")


def pandas() -> None:
    """A frame, and a .csv."""
    import pandas as pd

    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None]})
    pd.testing.assert_frame_equal(frame, _trip(frame))
    pd.testing.assert_frame_equal(frame[["a"]], _trip(frame[["a"]], "x.csv"))


def polars() -> None:
    """A frame."""
    import polars as pl

    frame = pl.DataFrame({"a": [1, None], "b": ["x", None]})
    assert frame.equals(_trip(frame))


def s3() -> None:
    """The engine is there: a place that nobody serves is unreachable, and nothing is missing."""
    _unreachable("s3fs")


def s3_fast() -> None:
    """Likewise with both engines."""
    _unreachable("obstore")
    _unreachable("s3fs")


def gcs() -> None:
    """The client is there: a place that nobody serves is unreachable, and nothing is missing."""
    _away("gcs", endpoint_url="http://127.0.0.1:9", token="anon")


def azure() -> None:
    """Likewise."""
    _away("azure", account_host="127.0.0.1:9", anon=True)


def sftp() -> None:
    """Likewise."""
    _away("sftp")


def webdav() -> None:
    """Likewise."""
    _away("webdav")


_PLACES = {
    "gcs": "gs://bucket/p",
    "azure": "abfs://container@account.dfs.core.windows.net/p",
    "sftp": "sftp://127.0.0.1:9/p",
    "webdav": "webdav://127.0.0.1:9/p",
}


def _away(extra: str, **options: Any) -> None:
    from runstore import ObjectStore
    from runstore.errors import BackendUnavailableError

    try:
        ObjectStore(_PLACES[extra], timeout=3, **options).namespaces()
    except BackendUnavailableError as exc:
        assert "://" in str(exc), exc
    else:
        raise AssertionError("nobody listens there")


def _unreachable(engine: str) -> None:
    from runstore import ObjectStore
    from runstore.errors import RunStoreError

    options = {"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"}
    try:
        ObjectStore("s3://bucket", engine=engine, timeout=2, **options).namespaces()
    except RunStoreError as exc:
        assert "127.0.0.1:9" in str(exc) or "s3://bucket" in str(exc), exc
        assert type(exc).__name__ == "BackendUnavailableError", repr(exc)
    else:
        raise AssertionError("nobody listens there")


def fsspec() -> None:
    """An object as a file."""
    from fsspec import open as fsspec_open

    url, store = "runstore://dev/r1/x.json", {"store": "store"}
    with fsspec_open(url, "w", **store) as file:
        file.write("[1]")
    assert [1] == _view().get("x.json")
    with fsspec_open(url, "r", **store) as file:
        assert "[1]" == file.read()


def dask() -> None:
    """A run on workers of its own."""
    _run("dask")


def ray() -> None:
    """A run on a cluster of its own."""
    _run("ray")


def _double(x: int = 21) -> int:
    return 2 * x


def _run(executor: str) -> None:
    from runstore import run_workflow

    stages = [{"name": "double", "target": _double}]
    flow = {"kind": "workflow", "metadata": {"name": "w"}, "spec": {"stages": stages}}
    assert 42 == run_workflow(flow, executor=executor, executor_options={"workers": 1}).result


def sklearn() -> None:
    """A model without pickle."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    assert model.predict([[2.0]]).tolist() == _trip(model, "x.skops").predict([[2.0]]).tolist()


def torch() -> None:
    """A tensor."""
    import torch

    assert torch.equal(torch.arange(3), _trip(torch.arange(3)))


def xarray() -> None:
    """A dataset."""
    import xarray as xr

    data = xr.Dataset({"a": ("x", [1, 2])}, coords={"x": [10, 20]})
    assert data.identical(_trip(data))


def testing() -> None:
    """The conformance suites are importable."""
    import runstore.testing

    assert runstore.testing.CodecTests


def ui() -> None:
    """A run as one page, and the modules of the browser view."""
    import subprocess

    import runstore.ui

    assert runstore.ui.__all__
    _run("local")
    card = [sys.executable, "-m", "runstore", "card", "default/_latest", "-o", "run.html"]
    subprocess.run(card, check=True)
    assert "<html" in Path("run.html").read_text()


def openlineage() -> None:
    """What made an object, as events."""
    from runstore import ObjectStore, object_store, recorded_run

    with recorded_run(workflow="w", namespace="dev", run="r9", store=str(Path("store").absolute())):
        object_store.put("x", [1])
    found = ObjectStore(Path("store")).at(namespace="dev", run="r9").lineage("x")
    assert isinstance(found.openlineage(), list)


def demo() -> None:
    """The example workflow runs."""
    from runstore.cli import main

    sys.argv = ["runstore", "demo"]
    try:
        main()
    except SystemExit as exc:
        assert not exc.code, exc.code


if __name__ == "__main__":
    import runstore

    assert "site-packages" in runstore.__file__, "not the installed package"
    globals()[sys.argv[1].replace("-", "_")]()
    print(f"{sys.argv[1]}: as it should be")
