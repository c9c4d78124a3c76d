"""Modules that stand beside a workflow file, each workflow with its own.

Two workflows in one process may both have a ``stages.py``, and Python keeps one
module per name. While a workflow runs, what its folder supplies comes first, as
for a script in that folder; a module of the same name from elsewhere is put
aside and put back afterwards. The standard library and runstore stay.

Of two such workflows that run *at once* in threads, each stage still is its own
folder's, but an import executed inside a stage finds whichever folder is in
front. Processes do not share modules, so there it is always the right one.
"""

import contextlib
import hashlib
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["folder_first", "forget_changed", "state_of"]

_KEPT = frozenset({*sys.stdlib_module_names, "__main__", "runstore"})

_lock = threading.RLock()
_active = 0  # blocks that are being executed
_put_aside: dict[str, ModuleType] = {}  # until the last of them is left
_of_folder: dict[Path, dict[str, ModuleType]] = {}  # so that a second run finds its modules again
_states: dict[Path, str] = {}  # of the folders whose modules are loaded


@contextlib.contextmanager
def folder_first(folder: Path | None, *, alone: bool = False) -> Iterator[None]:
    """Let imports look into *folder* first, inside the block.

    Args:
        folder: Absolute; None changes nothing.
        alone: Keep other threads from entering theirs meanwhile, so that every
            import of the block is surely from *folder*.
    """
    if folder is None:
        yield
        return
    with _lock if alone else contextlib.nullcontext():
        with _lock:
            _enter(folder)
        try:
            yield
        finally:
            with _lock:
                _leave(folder)


def state_of(folder: Path) -> str:
    """Give a text that changes when a module in *folder* does."""
    seen = hashlib.sha256()
    for file in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
        with contextlib.suppress(FileNotFoundError):
            found = file.stat()
            seen.update(f"{file.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def forget_changed(folder: Path, state: str) -> None:
    """Let go of the modules of *folder* if they were loaded in another state.

    A worker of a cluster outlives the runs, and the edits between them.
    """
    with _lock:
        if _states.setdefault(folder, state) == state:
            return
        _states[folder] = state
        home = folder.resolve()
        for name, module in list(sys.modules.items()):
            if "." not in name and name not in _KEPT and _home(module) == home:
                _take_out(name)
        _of_folder.pop(home, None)


def _enter(folder: Path) -> None:
    global _active  # it counts for the process, as sys.modules is the process's
    _active += 1
    importlib.invalidate_caches()  # files may be newer than the last look at the folder
    for name in _strangers(folder):
        for taken, module in _take_out(name).items():
            _put_aside.setdefault(taken, module)
    for name, module in _of_folder.setdefault(folder.resolve(), {}).items():
        sys.modules.setdefault(name, module)
    sys.path.insert(0, str(folder))


def _leave(folder: Path) -> None:
    global _active
    with contextlib.suppress(ValueError):  # a stage may have rebuilt sys.path
        sys.path.remove(str(folder))
    _active -= 1
    if _active == 0:
        for name in {name.partition(".")[0] for name in _put_aside}:
            _take_out(name)
        sys.modules.update(_put_aside)
        _put_aside.clear()


def _strangers(folder: Path) -> list[str]:
    """Names that *folder* supplies but that are loaded from elsewhere."""
    home = folder.resolve()
    return [
        name
        for name, module in list(sys.modules.items())
        if "." not in name
        and name not in _KEPT
        and _home(module) != home
        and ((home / f"{name}.py").is_file() or (home / name / "__init__.py").is_file())
    ]


def _take_out(name: str) -> dict[str, ModuleType]:
    """Take a module and what is below it out of sys.modules, and remember whose they were."""
    taken = {
        key: sys.modules.pop(key)
        for key in list(sys.modules)
        if key == name or key.startswith(f"{name}.")
    }
    home = _home(taken[name]) if name in taken else None
    if home in _of_folder:
        _of_folder[home].update(taken)
    return taken


def _home(module: ModuleType) -> Path | None:
    """The folder in which a top-level module was found."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return None
    path = Path(file).resolve()
    return path.parent.parent if path.name == "__init__.py" else path.parent
