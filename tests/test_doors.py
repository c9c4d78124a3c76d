"""Every public function, called with wrong types and values: only errors of ours, nothing touched.

The functions and their parameters are found by introspection, so a new one is tested from its
first day. What a parameter takes is what its annotation says.
"""

import asyncio
import collections.abc
import contextlib
import contextvars
import inspect
import io
import os
import types
import typing
import warnings
from collections.abc import Mapping
from concurrent.futures import Executor
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from fsspec.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import runstore
from runstore import ObjectStore, aio, context, object_store, recorded_run, run_context
from runstore.aio._files import AsyncFile
from runstore.context import new_run
from runstore.errors import BulkError, RunStoreError
from runstore.filesystem import RunstoreFileSystem
from runstore.store import StoreView
from runstore.workflows import load_config, load_workflow


class Evil:
    """Raises whatever is asked of it, but for what every object can do."""

    __hash__ = None

    def _raise(self, *_):
        raise ZeroDivisionError("a check has called code of a wrong argument")

    __eq__ = __bool__ = __repr__ = __str__ = __len__ = __format__ = __lt__ = _raise


def a_function():
    return 1


def cyclic_list():
    value = ["x"]
    value.append(value)
    return value


def cyclic_dict():
    value = {"x": 1}
    value["self"] = value
    return value


GENERATED = ["x", 2]
WRONG = {
    **{ascii(value): lambda value=value: value for value in (
        None, True, 0, 1, -1, 1.5, -0.5, float("nan"), float("inf"), 1e10, 10**400, 1j, ...,
        "", "x", "y/z", "a/../b", "a//b", "/", "_x", "x\0", "\n", "\ud800", "Deny", "gzip", "yes",
        "run", "all", "1:30", "~nobody-at-all/x", "nope://x", "memory://", "é" * 700, "no.yaml",
        b"x", b"", (), ("x",), [], ["x"], ["x", 1], [["x"]], {}, {"x": 1}, {1: 2}, {"x": {1: 2}},
        {"metadata": 1}, {"x"}, frozenset(), range(3), list, int, list[int], Literal["x"],
    )},
    "object": object,
    "evil": Evil,
    "function": lambda: a_function,
    "generator": lambda: (name for name in GENERATED),
    "frame": lambda: pd.DataFrame({"x": [1]}),
    "array": lambda: np.array(["x", "y"]),
    "path": lambda: Path("x"),
    "cyclic list": cyclic_list,
    "cyclic dict": cyclic_dict,
    "run record": lambda: new_run("w", namespace="n", name="r3"),
    "module": lambda: os,
}  # fmt: skip
"""What the parameters are given, made anew for each call."""

WORKFLOW = {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": a_function}]}}


class Scene:
    """A store with an object and a run in it, and what is right for each required parameter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = ObjectStore(folder / "store")
        self.view = self.store.at(namespace="n", run="r")
        self.view.put("x", pd.DataFrame({"x": [1]}))
        self.store.write_run(new_run("w", namespace="n", name="r2"))
        self.aio_store = aio.ObjectStore(self.store.address)
        self.aio_view = self.aio_store.at(namespace="n", run="r")
        self.filesystem = RunstoreFileSystem(self.store.address)
        self.lineage = self.view.lineage("x")
        self.context = run_context(namespace="n", run="r", store=self.store)
        with self.context as ctx:
            self.ctx = ctx
        (folder / "flow.yaml").write_text(
            "metadata: {name: w}\nspec: {stages: [{name: s, target: m.f}]}\n"
        )
        (folder / "config.yaml").write_text("metadata: {name: c}\nspec: {}\n")

    def right(self, function: str, parameter: str) -> Any:
        """Return an argument with which the call would go on."""
        if (function, parameter) == ("load_config", "path"):
            return self.folder / "config.yaml"
        if function.startswith("RunstoreFileSystem"):
            local = str(self.folder / "flow.yaml")
            known = {"path": "n/r/x", "rpath": "n/r/x", "lpath": local, "value": b"x"}
            return (known | {"path1": "n/r/x", "path2": "n/r/y", "outfile": None})[parameter]
        known = {
            "name": "x", "names": ["x"], "value": 1, "values": {"x": 1}, "to_name": "z",
            "fn": a_function, "ctx": self.ctx, "workflow": WORKFLOW, "namespace": "n", "run": "r",
            "one": "n/r/x", "other": "n/r/x", "keys": ["x"], "expires_in": 60, "reader": "pandas",
            "text": "x", "tags": ["x"], "stage": "s", "url": self.store.url, "scheme": "ours",
            "opener": a_function,
            "path": self.folder / "flow.yaml", "store": self.store, "address": self.store.address,
        }  # fmt: skip
        if function.startswith("context.new_run") and parameter == "workflow":
            return "w"
        if function.endswith("put_dir") and parameter == "path":
            (self.folder / "tree").mkdir(exist_ok=True)
            return self.folder / "tree"
        if function.endswith("write_run") and parameter == "run":
            return new_run("w", namespace="n", name="r2")
        if parameter == "plan":
            return self.store.plan_gc()
        return known[parameter]

    def is_closed(self) -> bool:
        """Say whether a store was closed."""
        return "closed" in f"{self.store!r} {self.aio_store!r}"

    def files(self) -> dict[str, bytes]:
        """Return every file there is, with its contents; locks and temporaries are no contents."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and ".runstore-" not in str(path)
        }


def public() -> dict[str, Any]:
    """Give every public function by name, as a function of the scene that returns it."""
    found: dict[str, Any] = {}
    for name in object_store.__all__:
        found[f"object_store.{name}"] = lambda scene, name=name: getattr(object_store, name)
    for name in aio.object_store.__all__:
        found[f"aio.object_store.{name}"] = lambda scene, name=name: getattr(aio.object_store, name)
    found["aio.ObjectStore"] = lambda scene: aio.ObjectStore
    kinds = {
        "ObjectStore": (ObjectStore, "store"),
        "StoreView": (StoreView, "view"),
        "aio.ObjectStore": (aio.ObjectStore, "aio_store"),
        "aio.StoreView": (aio.StoreView, "aio_view"),
    }
    for label, (kind, of) in kinds.items():
        for name, _ in inspect.getmembers(kind, inspect.isroutine):
            if not name.startswith("_"):
                found[f"{label}.{name}"] = lambda scene, of=of, name=name: getattr(
                    getattr(scene, of), name
                )
    for name, value in inspect.getmembers(RunstoreFileSystem, inspect.isfunction):
        of_ours = value.__module__.startswith("runstore.")
        if of_ours and not name.startswith("_") and name not in ("mkdir", "makedirs"):
            found[f"RunstoreFileSystem.{name}"] = lambda scene, name=name: getattr(
                scene.filesystem, name
            )
    for function in (load_config, load_workflow, StoreView, RunstoreFileSystem):
        found[function.__name__] = lambda scene, function=function: function
    for name in runstore.__all__:
        value = getattr(runstore, name)
        if inspect.isfunction(value) or value in _CLASSES:
            found[name] = lambda scene, value=value: value
    for module, names in _OF_MODULES.items():
        for name in names:
            found[f"{module}.{name}"] = lambda scene, module=module, name=name: getattr(
                import_module(f"runstore.{module}"), name
            )
    found["Lineage.openlineage"] = lambda scene: scene.lineage.openlineage
    return found


_CLASSES = {
    *(ObjectStore, run_context, recorded_run, runstore.progress),
    *(runstore.ContextThreadPoolExecutor, runstore.ContextProcessPoolExecutor),
}
"""What is called as functions are, and makes no model."""

_OF_MODULES = {
    "context": ["new_run", "new_run_name", "RunLogFilter"],
    "places": ["open_backend", "register_place"],
}

_HELPERS = {
    "context": (
        "absolute_url address_of attempt_key current_entry default_address default_namespace "
        "enter entered_runs entering find_run_context is_exact is_kept is_of_this_process "
        "kept_result kept_values known_key known_lease leave merge_configs now parameter_digest "
        "peek_run_context peeked_run_context pickle_digest plain reasons revoke selects "
        "short_reason surrounding target_name"
    ),
    "places": (
        "changed_at copy_through delete_each describe_filesystem folders_but glimpse is_hidden "
        "leftovers list_allowed list_with_parts merge_options names_in prune split_options "
        "split_url"
    ),
}
"""What rooms, places and resolvers call with what was checked at a door before."""

PUBLIC = public()


def test_the_public_functions_are_found():
    """Introspection sees the verbs, the store's own methods and the functions of the package."""
    expected = (
        "object_store.put StoreView.get_many ObjectStore.at ObjectStore.runs ObjectStore bind "
        "run_context use_run_context run_workflow load_config get_run_context aio.object_store.put "
        "aio.ObjectStore aio.ObjectStore.runs aio.StoreView.get_many RunstoreFileSystem "
        "RunstoreFileSystem.ls RunstoreFileSystem.cp_file"
    )
    assert set(expected.split()) <= set(PUBLIC)


def test_every_public_function_is_called():
    """A function that is new in a public module is either tested here, or a helper."""
    for module, helpers in _HELPERS.items():
        loaded = import_module(f"runstore.{module}")
        functions = {one for one in loaded.__all__ if inspect.isfunction(getattr(loaded, one))}
        called = {one for one in functions if {one, f"{module}.{one}"} & set(PUBLIC)}
        assert {*helpers.split()} == functions - called, module
    of_workflows = [getattr(runstore.workflows, one) for one in runstore.workflows.__all__]
    functions = {one.__name__ for one in of_workflows if inspect.isfunction(one)}
    assert functions <= set(PUBLIC)


def fits(value: Any, hint: Any) -> bool:
    """Say whether *value* is what the annotation *hint* says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, (typing.TypeVar, typing.ParamSpec)):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return any(value is one or (type(value) is str and value == one) for one in arguments)
    if hint in (None, type(None)):
        return value is None
    if hint is type or origin is type:
        return isinstance(value, type)
    if origin is collections.abc.Callable or getattr(hint, "_is_protocol", False):
        return callable(value)
    if origin in (Mapping, dict):
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if origin in (list, collections.abc.Sequence):  # any sequence of labels will do
        return hasattr(type(value), "__iter__") and not isinstance(value, (str, bytes, Evil))
    if origin is collections.abc.Iterable:
        if isinstance(value, (str, bytes)):
            return False
        if isinstance(value, types.GeneratorType):  # which can be read once only
            return all(fits(item, arguments[0]) for item in GENERATED)
        return isinstance(value, collections.abc.Iterable) and all(
            fits(item, arguments[0]) for item in value
        )
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def parameters(function: Any) -> dict[str, tuple[inspect.Parameter, Any]]:
    """Give each parameter of *function* with what it takes."""
    described = function.__init__ if isinstance(function, type) else function
    hints = typing.get_type_hints(described)
    return {
        name: (parameter, hints.get(name, Any))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


@pytest.fixture(scope="module")
def loop():
    """Give what awaits the verbs of `runstore.aio`."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Give a function that returns the scene as it was in the beginning."""
    last: list[tuple[Scene, dict[str, bytes]]] = []

    def scene() -> Scene:
        if not last or last[0][1] != last[0][0].files() or last[0][0].is_closed():
            new = Scene(tmp_path_factory.mktemp("scene"))
            last[:] = [(new, new.files())]
        return last[0][0]

    return scene


# Few examples, for each of some two hundred functions.
@pytest.mark.parametrize("name", PUBLIC)
@settings(max_examples=settings().max_examples // 12)
@given(data=st.data())
def test_wrong_arguments_get_an_error_of_ours_and_touch_nothing(name, scenes, loop, data):
    """What does not fit its annotation is refused; only RunStoreErrors come out."""
    scene = scenes()
    function = PUBLIC[name](scene)
    takes = parameters(function)
    # fsspec passes files, callbacks and any value for true or false; those are not spoilt.
    of_files = name.startswith("RunstoreFileSystem.")
    may_be = [one for one in takes if not (of_files and takes[one][1] in (bool, Any, Callback))]
    spoilt: dict[str, str] = {}
    if may_be:
        names = st.lists(st.sampled_from(sorted(may_be)), min_size=1, max_size=3, unique=True)
        spoilt = {one: data.draw(st.sampled_from(sorted(WRONG)), one) for one in data.draw(names)}
    made = {one: WRONG[what]() for one, what in spoilt.items()}
    # Looked at on twins: a generator can be read once only.
    unfit = [one for one, what in spoilt.items() if not fits(WRONG[what](), takes[one][1])]
    unfit = [one for one in unfit if not (of_files and spoilt[one] == "path")]
    for one, (parameter, _) in takes.items():
        if one not in made and parameter.default is parameter.empty:
            made[one] = scene.right(name, one)
    before = scene.files()
    with warnings.catch_warnings(), scene.context, contextlib.chdir(scene.folder):
        warnings.simplefilter("ignore")  # of the policy "warn"
        try:
            made = function(**made)
            if inspect.iscoroutine(made):
                made = loop.run(made, context=contextvars.copy_context())
            if isinstance(made, AsyncFile):
                made = made._file
            if hasattr(made, "discard"):  # a file that was opened for writing
                made.discard()
            if isinstance(made, (run_context, io.IOBase)):
                with made:
                    pass
            if isinstance(made, Executor):
                made.shutdown()
        except OSError:  # what callers of a filesystem catch
            assert name.startswith("RunstoreFileSystem")
            assert before == scene.files()
        except RunStoreError as exc:
            str(exc).encode(errors="surrogatepass")
            if unfit or not isinstance(exc, BulkError):
                assert before == scene.files()
        else:
            assert [] == unfit


def test_no_model_raises_anything_but_an_error_of_ours():
    """Each field of each public model, with each wrong value: the path is named, nothing else."""
    models = [getattr(context, name) for name in context.__all__]
    models = [kind for kind in models if isinstance(kind, type) and issubclass(kind, BaseModel)]
    assert {runstore.Workflow, runstore.Config, runstore.WorkflowRun} <= set(models)
    said = []
    for kind in models:
        for field in kind.model_fields:
            for make in WRONG.values():
                try:
                    kind(**{field: make()})
                except RunStoreError as exc:
                    said.append(str(exc).startswith(f"{kind.__name__}: "))
    assert len(said) > 1000
    assert all(said)
