"""The folders whose modules this process has, and how others find these."""

import contextlib
import functools
import importlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from runstore.beside import _plain
from runstore.beside._modules import PREFIX, Loader, Modules, asked_by_statement, forget_ordinary
from runstore.lifetime import at_fork

__all__ = ["activated", "current", "found", "import_module", "modules_of", "reference", "within"]

_KEPT_AT_MOST = 32  # versions of folders; of those that no run uses the oldest go


class _Registry:
    """Every version of a folder whose modules are loaded, the one used last at the end."""

    def __init__(self) -> None:
        self.known: dict[str, Modules] = {}  # by their root
        self.of_folder: dict[Path, Modules] = {}  # the newest version
        self.installed = False
        self.forget()

    def forget(self) -> None:
        """Have a free lock; in a forked child."""
        self.lock = threading.RLock()

    def add(self, modules: Modules) -> None:
        if not self.installed:
            sys.meta_path.insert(0, _Private())
            sys.meta_path.append(_AfterRuns())
            sys.path_hooks.insert(0, _tail_finder)
            self.installed = True
        self.of_folder[modules.folder] = modules
        self.known[modules.root] = modules
        for old in list(self.known.values()):
            if len(self.known) <= _KEPT_AT_MOST:
                break
            if not old.users:
                del self.known[old.root]
                if self.of_folder.get(old.folder) is old:
                    del self.of_folder[old.folder]
                old.drop()

    def used(self, modules: Modules) -> None:
        if self.known.pop(modules.root, None) is not None:
            self.known[modules.root] = modules


_registry = _Registry()
at_fork(_registry.forget)
_within: ContextVar[Modules | None] = ContextVar("runstore_beside", default=None)


def modules_of(folder: str | os.PathLike[str], state: str | None = None) -> Modules:
    """Return the modules of a folder, anew if a file that was loaded has changed.

    Args:
        folder: Where they are.
        state: On a worker, where looking at each file for each call would take too long:
            what the caller says of the files. Another state is another version.
    """
    home = Path(folder).resolve()
    with _registry.lock:
        known = _registry.of_folder.get(home)
        if known is not None:
            changed = known.changed if state is None else known.state != state
            if not changed:
                known.look_again()
        if known is None or changed:
            importlib.invalidate_caches()
            if known is not None and state is not None:
                forget_ordinary(home)  # a worker has no modules that are anybody else's
            known = Modules(home, state, share=known is None or state is not None)
            _registry.add(known)
        return known


@contextlib.contextmanager
def activated(modules: Modules | None) -> Iterator[None]:
    """Let ordinary imports find *modules* in the block, where they would find nothing else."""
    if modules is None:
        yield
        return
    with _registry.lock:
        modules.users += 1
        _registry.used(modules)
        if modules.users == 1:
            importlib.invalidate_caches()  # files may be newer than the last look at the folder
            _plain.show(modules)
    try:
        yield
    finally:
        with _registry.lock:
            modules.users -= 1
            if not modules.users:
                modules.note_shared()
                _plain.hide(modules)


@contextlib.contextmanager
def within(modules: Modules | None) -> Iterator[None]:
    """Let `import_module` and runstore's own unpickling look among *modules* first."""
    token = _within.set(modules)
    try:
        yield
    finally:
        _within.reset(token)


def current() -> Modules | None:
    """Return the modules among which this code looks first, or None."""
    return _within.get()


def import_module(name: str) -> ModuleType:
    """Import by name, from the current folder first.

    Raises:
        ImportError: As `importlib.import_module`.
    """
    modules = current()
    if modules is not None and modules.owns(name):
        return modules.module(name)
    return importlib.import_module(name)


def reference(value: Any) -> tuple[str, str] | None:
    """Return module and name of a class or function of ours that pickle would not find by them."""
    if not _registry.known:
        return None
    name, path = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not isinstance(name, str) or "<locals>" in path:
        return None
    for modules in list(_registry.known.values()):
        module = modules.loaded.get(name)
        if module is None or module is sys.modules.get(name):
            continue
        with contextlib.suppress(AttributeError):
            if _attribute(module, path) is value:
                return name, path
    return None


def found(name: str, path: str) -> Any:
    """Return what `reference` referred to, from the current folder first."""
    return _attribute(import_module(name), path)


def _attribute(module: ModuleType, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), module)


class _Private:
    """Finds modules by their private names, and those of a package of ours by plain ones."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, dot, _ = fullname.partition(".")
        if not dot:
            return None
        if not top.startswith(PREFIX):
            owner = _plain.shown_by(top)
            return None if owner is None else _lent(fullname, owner)
        modules = _registry.known.get(top)
        spec = PathFinder.find_spec(fullname, path)
        if modules is not None and spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(fullname, spec.loader.path, modules)
            spec.cached = None
        return spec


class _Tail:
    """Answers for what an active folder has put at the end of `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        active = [
            one for one in _registry.known.values() if one.users and one.folder == self._folder
        ]
        wanted = current()
        if not active or (wanted is not None and wanted.owns(fullname) and wanted not in active):
            return None
        modules = wanted if wanted in active else active[-1]
        return _lent(fullname, modules) if modules.owns(fullname) else None


class _AfterRuns:
    """Finds modules whose run is over, for pickle; an import statement finds them no more."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if "." in fullname or _is_import_statement():
            return None
        for modules in reversed(list(_registry.known.values())):
            if fullname in modules.loaded:
                return _lent(fullname, modules)
        return None


class _Alias:
    """Gives a module that is loaded already to an import by its plain name."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importlib has put its own there


def _lent(name: str, modules: Modules) -> ModuleSpec:
    """Return how an import gets a module by its plain name; until its run is over."""
    module = modules.module(name)
    _plain.lend(modules, name)
    return ModuleSpec(name, _Alias(module))  # type: ignore[arg-type]


def _tail_finder(entry: str) -> _Tail:
    folder = Path(entry)
    if entry.endswith("/.") and folder in _registry.of_folder:
        return _Tail(folder)
    raise ImportError(f"{entry} is no folder of a workflow", path=entry)


def _is_import_statement() -> bool:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return asked_by_statement(frame)
