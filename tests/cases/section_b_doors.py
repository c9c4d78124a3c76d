"""Section B: unsuitable arguments and values, told as what they are by an error of ours."""

from pathlib import Path

import pytest
from tests.cases._case import case


def _view(here: Path):
    from runstore import ObjectStore

    return ObjectStore(here / "store").at(namespace="n", run="r")


class RebuiltUntilBroken:
    """Pickles, and raises when it is unpickled once its class has changed."""

    broken = False

    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        if type(self).broken:
            raise RuntimeError("no state")


@case("B2", "Swapped name and value, a list as name, None as prefix: each is told in a sentence.")
def swapped(here: Path) -> None:
    import pandas as pd

    from runstore.errors import InvalidNameError, InvalidRequestError

    view = _view(here)
    with pytest.raises(InvalidNameError, match=r"put: name must be a str, not DataFrame; did you "):
        view.put(pd.DataFrame(), "x")
    with pytest.raises(InvalidNameError, match="get: name must be a str, not list"):
        view.get(["a"])
    with pytest.raises(InvalidRequestError, match="list: prefix must be a str, not NoneType"):
        view.list(None)
    assert not list(here.iterdir())


@case("B2", "An unknown compression is refused before anything is touched.")
def compression(here: Path) -> None:
    from runstore.errors import InvalidRequestError

    with pytest.raises(InvalidRequestError, match="compression must be 'auto', 'lz4', 'zstd' or N"):
        _view(here).put("x", 1, compression="gzip")
    assert not list(here.iterdir())


@case("B2", "A timeout that is endless, too large, negative or no number is refused at once.")
def timeouts(here: Path) -> None:
    from runstore import ObjectStore
    from runstore.errors import SettingsError

    for url in (here / "store", "s3://bucket/prefix"):
        for timeout in (float("inf"), float("nan"), 1e10, -1, 0, "x", True):
            with pytest.raises(SettingsError, match="timeout must be a number of seconds above 0"):
                ObjectStore(url, timeout=timeout)


@case("B2", "verify= a folder is a setting that is not understood, not an IsADirectoryError.")
def verify_a_folder(here: Path) -> None:
    from runstore import ObjectStore
    from runstore.errors import SettingsError

    for engine in ("obstore", "s3fs"):
        options = {"verify": str(here), "endpoint_url": "https://127.0.0.1:9"}
        with pytest.raises(SettingsError, match="verify"):
            ObjectStore("s3://b/p", engine=engine, key="k", secret="s", client_kwargs=options)


@case("B2", "A value that cannot be pickled costs no other result of put_many.")
def many_with_a_lock(here: Path) -> None:
    import multiprocessing

    from runstore.errors import BulkError, UnsupportedValueError

    view = _view(here)
    with pytest.raises(UnsupportedValueError, match="n/r/l"):
        view.put("l", multiprocessing.Lock())
    with pytest.raises(BulkError) as caught:
        view.put_many({"a": 1, "l": multiprocessing.Lock(), "b": 2})
    assert list(caught.value.results) == ["a", "b"]
    assert type(caught.value.errors["l"]) is UnsupportedValueError


@case("B2", "A value that cannot be rebuilt costs no other result of get_many.")
def many_with_a_bad_state(here: Path) -> None:
    from runstore.errors import BulkError, UnsupportedValueError

    view = _view(here)
    view.put_many({"a": 1, "bad": RebuiltUntilBroken(), "b": 2})
    RebuiltUntilBroken.broken = True
    with pytest.raises(BulkError) as caught:
        view.get_many(["a", "bad", "b"])
    assert caught.value.results == {"a": 1, "b": 2}
    assert type(caught.value.errors["bad"]) is UnsupportedValueError
    assert "RuntimeError: no state" in str(caught.value.errors["bad"])


@case("B2", "A config whose keys are no text is told by us, with the key, and not by pydantic.")
def integer_key(here: Path) -> None:
    from runstore import run_context, run_workflow
    from runstore.errors import InvalidRequestError

    workflow = {
        "metadata": {"name": "w"},
        "spec": {"stages": [{"name": "s", "target": "builtins.print"}]},
    }
    with pytest.raises(InvalidRequestError, match=r"run_context: config .* it has the key 1"):
        run_context(config={1: "a"})
    with pytest.raises(InvalidRequestError, match=r"run_workflow: config .* it has the key 1"):
        run_workflow(workflow, config={1: "a"}, store=here / "store")
    assert not list(here.iterdir())


@case("B3", "as_type= that is no class is an unsuitable argument, not damage.")
def as_type(here: Path) -> None:
    from runstore.errors import InvalidRequestError

    view = _view(here)
    view.put("t", (1, 2))
    for kind in ("list", list[int], 42):
        with pytest.raises(InvalidRequestError, match="get: as_type must be a class or None"):
            view.get("t", as_type=kind)
    assert view.get("t") == (1, 2)


@case("B3", "A text as columns=, or as the names of get_many, is not taken letter by letter.")
def letters(here: Path) -> None:
    import pandas as pd

    from runstore.errors import InvalidRequestError

    view = _view(here)
    view.put("a", pd.DataFrame({"ab": [1]}))
    view.put("b", 1)
    with pytest.raises(InvalidRequestError, match=r"write columns=\['ab'\]"):
        view.get("a", columns="ab")
    with pytest.raises(InvalidRequestError, match="get_many: names must be an iterable of str"):
        view.get_many("ab")


@case("B3", "Misspelt policies and flags that are no flags are refused.")
def misspelt(here: Path) -> None:
    from runstore import ObjectStore
    from runstore.errors import InvalidRequestError, SettingsError

    with pytest.raises(SettingsError, match=r"did you mean 'deny'\?"):
        ObjectStore(here / "store", pickle="Deny")
    with pytest.raises(SettingsError, match="durable must be True or False, not 'x'"):
        ObjectStore(here / "store", durable="x")
    with pytest.raises(InvalidRequestError, match="verify must be 'auto', True or False"):
        _view(here).get("x", verify="yes")


@case("B3", "A misspelt RUNSTORE_ variable is refused, with the one that was perhaps meant.")
def misspelt_variable(here: Path) -> None:
    import os

    from runstore import run_context
    from runstore.errors import SettingsError

    os.environ["RUNSTORE_NAMESPCE"] = "prod"
    with pytest.raises(SettingsError, match=r"did you mean 'RUNSTORE_NAMESPACE'\?"):
        run_context().__enter__()
