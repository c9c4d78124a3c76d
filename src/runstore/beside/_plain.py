"""Plain names in `sys.modules`: which workflow's modules have them, and for how long."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from runstore.lifetime import forget_at_fork

if TYPE_CHECKING:
    from runstore.beside._modules import Modules

__all__ = [
    "alone",
    "hide",
    "in_front",
    "in_place",
    "lend",
    "ordinary",
    "show",
    "show_again",
    "shown_by",
    "tail_of",
]

_TAIL = "/."  # an entry of sys.path that ends so is one of ours, and an ordinary one elsewhere


class _Shown:
    """The modules of active runs that are in `sys.modules` under their plain names."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[Modules, ModuleType]] = {}
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Make new locks; in a forked child."""
        self.lock = threading.RLock()
        self.loading = threading.RLock()


_shown = _Shown()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock for loading modules: no other thread loads those of its workflow.

    So a class statement that looks up its module in `sys.modules` finds its own.
    """
    with _shown.loading:
        yield


def tail_of(modules: "Modules") -> str:
    """Return the last entry of `sys.path` while *modules* are active.

    Processes that a stage starts inherit `sys.path`, and find the modules in this folder. In
    this process a finder of `runstore.beside` handles the entry.
    """
    return f"{modules.folder}{_TAIL}"


def ordinary(top: str) -> ModuleSpec | None:
    """Return the spec that an ordinary import of a top-level name would find."""
    for finder in list(sys.meta_path):
        if type(finder).__module__.startswith("runstore.beside"):
            continue
        where = None
        if finder is PathFinder:
            where = [entry for entry in sys.path if not entry.endswith(_TAIL)]
        find = getattr(finder, "find_spec", None)  # very old ones have none
        spec: ModuleSpec | None = None if find is None else find(top, where)
        if spec is not None:
            return spec
    return None


def shown_by(name: str) -> "Modules | None":
    """Return the workflow whose module has a plain name in `sys.modules`, or None."""
    held = _shown.by_name.get(name)
    return held[0] if held is not None and sys.modules.get(name) is held[1] else None


@contextlib.contextmanager
def in_place(modules: "Modules", name: str, module: ModuleType) -> Iterator[None]:
    """Put a module into `sys.modules` under its plain name while it is being loaded.

    Dataclasses and pydantic models look up their module there. If the name is free, the module
    keeps it after the block; see `show`.
    """
    with _shown.lock:
        free = _is_free(modules, name)
        before = sys.modules.get(name)
        sys.modules[name] = module
    try:
        yield
        if free and modules.users:
            _shown.by_name[name] = modules, sys.modules.get(name, module)
            return
    except BaseException:
        _put_back(name, before)
        raise
    _put_back(name, before)


def lend(modules: "Modules", name: str) -> None:
    """Record that an ordinary import is about to put a loaded module under its plain name."""
    with _shown.lock:
        if name in modules.loaded:  # a folder without __init__.py is not
            _shown.by_name[name] = modules, modules.loaded[name]


def show_again(modules: "Modules", name: str) -> None:
    """Put a module and those of its package under their plain names, if these are free now.

    Another run may have had the names when this one loaded its modules, and have ended since.
    """
    top = name.partition(".")[0]
    with _shown.lock:
        modules.free.pop(top, None)
        if modules.users and _is_free(modules, top):
            for one, module in list(modules.loaded.items()):
                if one.partition(".")[0] == top:
                    sys.modules[one] = module
                    _shown.by_name[one] = modules, module


def show(modules: "Modules") -> None:
    """Put modules under their plain names where no other module has or could have these."""
    with _shown.lock:
        for other in {owner for owner, _ in _shown.by_name.values() if not owner.users}:
            _hide(other)
        modules.free.clear()
        for name, module in list(modules.loaded.items()):
            if _is_free(modules, name):
                sys.modules[name] = module
                _shown.by_name[name] = modules, module
        sys.path.append(tail_of(modules))


def hide(modules: "Modules") -> None:
    """Undo what `show` and `in_place` did."""
    with _shown.lock:
        _hide(modules)
        with contextlib.suppress(ValueError):  # a stage may have rebuilt sys.path
            sys.path.remove(tail_of(modules))


@contextlib.contextmanager
def in_front(modules: "Modules | None") -> Iterator[None]:
    """Put all loaded modules under their plain names, for an engine that unpickles by itself.

    Another module of such a name is not found meanwhile, so the block should be short.
    """
    if modules is None:
        yield
        return
    with _shown.loading:
        before = {name: sys.modules.get(name) for name in modules.loaded}
        sys.modules.update(modules.loaded)
        try:
            yield
        finally:
            for name, module in before.items():
                _put_back(name, module)


def _hide(modules: "Modules") -> None:
    for name, (owner, module) in list(_shown.by_name.items()):
        if owner is modules:
            del _shown.by_name[name]
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _is_free(modules: "Modules", name: str) -> bool:
    top = name.partition(".")[0]
    if top not in modules.free:
        owner = shown_by(top)
        modules.free[top] = (
            top not in sys.modules and ordinary(top) is None
            if owner is None
            else owner is modules or not owner.users
        )
    return modules.free[top]


def _put_back(name: str, before: ModuleType | None) -> None:
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before
