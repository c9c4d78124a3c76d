import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runstore

SOURCE = Path(runstore.__file__).parent


def in_subprocess(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(SOURCE.parent), "PATH": "/usr/bin:/bin"},
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


HEAVY = ["pandas", "fsspec", "pyarrow.dataset", "s3fs", "polars", "dask", "ray", "boto3", "obstore"]
HEAVY += ["pytest"]


@pytest.mark.parametrize(
    "statement",
    ["import runstore", "from runstore import *", "from runstore import object_store, run_context"],
)
def test_importing_loads_nothing_optional(statement):
    """Neither the package nor its names load a library that a user may not have or need."""
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    assert "[]" == in_subprocess(code)


def test_importing_the_package_loads_next_to_nothing():
    """`import runstore` alone loads none of the libraries it is built on, either."""
    code = """
import runstore, sys
names = ("pyarrow", "numpy", "pydantic", "rich", "typer", "yaml", "asyncio")
print([m for m in names if m in sys.modules])
"""
    assert "[]" == in_subprocess(code)


def test_the_surface_is_counted():
    """__all__ is sorted, at most thirty names, each of which exists and is listed by dir()."""
    assert sorted(runstore.__all__) == runstore.__all__
    assert len(runstore.__all__) <= 30
    assert "__version__" not in runstore.__all__  # `from runstore import *` keeps the user's own
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", runstore.__version__)
    for name in runstore.__all__:
        assert getattr(runstore, name) is not None
    assert set(runstore.__all__) <= set(dir(runstore))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        runstore.nonsense  # noqa: B018


def test_there_is_one_hook_for_forks():
    """Only `runstore.lifetime` registers with the system; all else is told by it."""
    users = [path.name for path in SOURCE.rglob("*.py") if "register_at_fork(" in path.read_text()]
    assert ["lifetime.py"] == users


def test_modules_stay_small():
    """No module is longer than 500 lines; a longer one should be two."""
    long = {
        str(path.relative_to(SOURCE)): count
        for path in SOURCE.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 500
    }
    assert {} == long


@pytest.mark.skipif(not (SOURCE.parents[1] / ".git").exists(), reason="not in a repository of git")
def test_git_ignores_no_source_file():
    """What a clone of the repository would lack shows here, not only where somebody clones it."""
    ask = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--"]
    rooms = ["src", "tests", "docs", "benchmarks", "examples"]
    done = subprocess.run(
        [*ask, *rooms], cwd=SOURCE.parents[1], capture_output=True, text=True, check=True
    )
    made = ("__pycache__/", ".hypothesis/", ".runstore/", ".egg-info/")
    lost = [name for name in done.stdout.splitlines() if not any(one in name for one in made)]
    assert [] == lost


def test_every_test_says_what_is_true():
    """Each test function of ours has a docstring of its own."""
    silent = []
    for path in [*Path(__file__).parent.rglob("test_*.py"), *SOURCE.glob("testing/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                silent += [f"{path.name}:{node.name}"] * (ast.get_docstring(node) is None)
    assert [] == silent


def test_only_the_pickle_module_unpickles():
    """Pickles are loaded by one module of the store, in the executors' pipe, and from artifacts."""
    callers = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("loads", "load")
                and isinstance(node.value, ast.Name)
                and node.value.id in ("pickle", "cloudpickle", "by_value")
            ):
                callers.add(path.relative_to(SOURCE).parts[0] + "/" + path.name)
    pipe = {caller for caller in callers if caller.startswith("executors/")}
    artifacts = {"compat/misc.py"}  # files of Flowdapt's hooks, under the store's policy
    assert callers <= {"codecs/_unpickler.py", "by_value.py/by_value.py"} | pipe | artifacts
    assert "codecs/_unpickler.py" in callers


_PURE = "its result follows from its arguments alone, and holds nothing that ends or is forked"
_INSTALLED = "what is installed does not change while a process runs"
_WEAK = "it keeps nothing alive, and all that is in it is good in a forked child, too"
_REGISTRY = "callers register here for the life of the process, forked children included"
_OF_THREAD = "each thread has its own, which ends with it"

# What a module keeps that is no `Shared`, `Bounded` or owner with a hook for forks, and why.
_KEPT = {
    "beside/_modules.py _numbers": "a counter: a child goes on with numbers that it has not used",
    "buffers.py @_map_at": _PURE,
    "codecs/__init__.py @_codecs_named": _PURE,
    "codecs/_plugins.py @_by_type": _INSTALLED,
    "containers/_header.py @_kind": _PURE,
    "containers/_header.py @scope_text": _PURE,
    "containers/_small.py global _second": "the text of the last second: one tuple, set as a whole",
    "context/resolvers/__init__.py @_brought": _INSTALLED,
    "context/resolvers/__init__.py @_used": _INSTALLED,
    "integrations/kedro.py _running": _OF_THREAD,
    "keys.py @key_of": _PURE,
    "keys.py @parts_folder": _PURE,
    "keys.py @scope_folder": _PURE,
    "objects/_opening.py _credentials": _WEAK,
    "objects/_opening.py _filesystems": _WEAK,
    "places/_cloud/_logs.py _here": _OF_THREAD,
    "places/_cloud/_rust.py _here": _OF_THREAD,
    "places/_memory.py _files": _WEAK,
    "places/_registry.py _registered": _REGISTRY,
    "pytest_plugin/_place.py _places": _WEAK,
    "signs.py @process_space": "the boot and the container are those of the forked child, too",
    "upkeep/_across.py @_scope_at": _PURE,
    "versions.py @_packages": _INSTALLED,
    "workflows/_own_code.py @_folders_of_libraries": _INSTALLED,
    "workflows/_own_code.py @is_own_file": _INSTALLED,
}
_CACHES = {"cache", "functools.cache", "lru_cache", "functools.lru_cache"}
_GROWING = {
    *("set", "dict", "list", "defaultdict", "deque", "threading.local", "itertools.count"),
    *("threading.Lock", "threading.RLock", "weakref.WeakSet"),
    *("weakref.WeakValueDictionary", "weakref.WeakKeyDictionary"),
}


def _kept_by(tree: ast.Module) -> list[str]:
    """Return the caches of a module, what in it begins empty, and what its functions rebind."""
    found = []
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name):
            continue
        empty = (isinstance(value, ast.Dict) and not value.keys) or (
            isinstance(value, ast.List) and not value.elts
        )
        made = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
        if empty or (made in _GROWING and (not value.args or made == "itertools.count")):
            found.append(target.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found += [f"global {name}" for name in node.names]
        elif isinstance(node, ast.FunctionDef):
            for one in node.decorator_list:
                if ast.unparse(one).partition("(")[0] in _CACHES:
                    found.append(f"@{node.name}")
    return found


def test_what_a_module_keeps_has_an_owner_or_a_reason():
    """Caches, locks and registries of modules are owners of `lifetime`, or are listed here."""
    found = [
        f"{path.relative_to(SOURCE).as_posix()} {name}"
        for path in SOURCE.rglob("*.py")
        if "testing" not in path.relative_to(SOURCE).parts
        for name in _kept_by(ast.parse(path.read_text()))
    ]
    assert sorted(_KEPT) == sorted(found)


_FIRST_PUT = """
import json, sys
import numpy, pyarrow, pydantic, xxhash
given = set(sys.modules)  # some versions load more than others by themselves
from runstore import object_store, run_context
with run_context("dev", store=sys.argv[1]):
    object_store.put("x", b"x" * 1024)
    object_store.put("y", {"a": [1, "b"]})
    assert b"x" * 1024 == object_store.get("x")
from runstore.context import Stage, WorkflowRun, WorkflowRunContext
built = [one.__name__ for one in (Stage, WorkflowRun, WorkflowRunContext)
         if one.__pydantic_complete__]
print(json.dumps({"modules": sorted(set(sys.modules) - given), "built": built}))
"""

# Each takes 5 to 60 ms to import, and no first put of text, bytes or JSON needs it.
_SLOW = {
    *("pyarrow.compute", "pyarrow.parquet", "pyarrow.dataset", "numpy.ma", "pydantic_settings"),
    *("asyncio", "email", "importlib.metadata", "multiprocessing", "subprocess", "tomllib", "html"),
    *("fsspec", "pandas", "polars", "obstore", "botocore", "difflib", "ssl"),
}


def test_the_first_put_loads_little(tmp_path):
    """Every worker and every call of the shell pays for what the first put of a process loads."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTORE_")}
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_PUT, tmp_path / "store"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
    )
    found = json.loads(done.stdout)
    assert set() == _SLOW & set(found["modules"])
    assert [] == found["built"]
    ours = [name for name in found["modules"] if name.partition(".")[0] == "runstore"]
    assert len(ours) <= 150
