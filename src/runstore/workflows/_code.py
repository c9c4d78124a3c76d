"""What a run was made of: the source of its stages, the commit, the versions of libraries."""

import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash

from runstore._version import __version__
from runstore.lifetime import load_module

__all__ = ["commit_of", "source_digest", "versions_here"]

_LIBRARIES = (
    *("cloudpickle", "dask", "duckdb", "lightgbm", "numpy", "pandas", "polars", "pyarrow", "ray"),
    *("scipy", "tensorflow", "torch", "transformers", "xarray", "xgboost"),
)
_PACKAGES = {"sklearn": "scikit-learn"}
_COMMIT = re.compile("[0-9a-f]{40,64}")


def source_digest(function: Callable[..., Any]) -> str | None:
    """Return a digest of a function's source; None if it has none that can be found."""
    inner = inspect.unwrap(getattr(function, "func", function))  # functools.partial
    try:
        source = inspect.getsource(inner if inspect.isroutine(inner) else type(inner))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    return f"xxh3_128:{xxhash.xxh3_128_hexdigest(source.encode(errors='backslashreplace'))}"


def commit_of(folder: str | os.PathLike[str] | None) -> str | None:
    """Return the commit that is checked out in a folder or above; None outside of a repository.

    The files of Git are read; no program is started.
    """
    try:
        start = Path(folder or ".").resolve()
        for each in (start, *start.parents):
            if (each / ".git").exists():
                return _head_of(each / ".git")
    except (OSError, ValueError):
        return None
    return None


def _head_of(git: Path) -> str | None:
    if git.is_file():  # of a worktree, or of a submodule
        git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    ref = head.removeprefix("ref:").strip()
    shared = git / "commondir"
    folders = [git, (git / shared.read_text().strip()).resolve()] if shared.exists() else [git]
    for each in folders:
        if (each / ref).is_file():
            found = (each / ref).read_text().strip()
            return found if _COMMIT.fullmatch(found) else None
        packed = each / "packed-refs"
        if packed.is_file():
            for line in packed.read_text().splitlines():
                commit, _, name = line.partition(" ")
                if name == ref and _COMMIT.fullmatch(commit):
                    return commit
    return None


def versions_here() -> dict[str, str]:
    """Return the versions of Python, of runstore, and of known libraries that are loaded here."""
    found = {"python": sys.version.partition(" ")[0], "runstore": __version__}
    metadata = load_module("importlib.metadata")
    for name in (*_LIBRARIES, *_PACKAGES):
        if name in sys.modules:
            try:
                package = _PACKAGES.get(name, name)
                found[package] = str(metadata.version(package))
            except metadata.PackageNotFoundError:
                found[name] = str(getattr(sys.modules[name], "__version__", "?"))
    return dict(sorted(found.items()))
