"""The folders whose modules this process has loaded, and the finders for them."""

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
from runstore.lifetime import forget_at_fork

__all__ = ["activated", "current", "found", "import_module", "modules_of", "reference", "within"]

_KEPT_AT_MOST = 32  # versions of folders; beyond it the oldest that no run uses are dropped


class _Registry:
    """The versions of folders whose modules are loaded; the last one used is at the end."""

    def __init__(self) -> None:
        self.known: dict[str, Modules] = {}  # by their root
        self.of_folder: dict[Path, Modules] = {}  # the newest version
        self.installed = False
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Make a new lock; in a forked child."""
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
_within: ContextVar[Modules | None] = ContextVar("runstore_beside", default=None)


def modules_of(folder: str | os.PathLike[str], state: str | None = None) -> Modules:
    """Return the modules of a folder; a new version if a loaded file has changed.

    Args:
        folder: Where they are.
        state: On a worker, where checking each file at each call would take too long: a
            digest of the files. Another digest is another version.
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
                forget_ordinary(home)  # on a worker, no other code uses them
            known = Modules(home, state, share=known is None or state is not None)
            _registry.add(known)
        return known


@contextlib.contextmanager
def activated(modules: Modules | None) -> Iterator[None]:
    """In the block, ordinary imports find *modules* where they would find no other module."""
    if modules is None:
        yield
        return
    with _registry.lock:
        modules.users += 1
        _registry.used(modules)
        if modules.users == 1:
            importlib.invalidate_caches()  # Python may have listed the folder before
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
    """In the block, `import_module` and runstore's unpickling search *modules* first."""
    token = _within.set(modules)
    try:
        yield
    finally:
        _within.reset(token)


def current() -> Modules | None:
    """Return the modules that this code searches first, or None."""
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
    """Return module and qualified name of a class or function that pickle would not find.

    It is one of a module beside a workflow whose plain name another module has.
    """
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
    """Return what `reference` named; the current folder is searched first."""
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
    """The finder of the entry that an active folder has at the end of `sys.path`."""

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
    """Finds modules whose run is over, for pickle; not for import statements."""

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
    """A loader that returns a module which is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importlib has replaced it


def _lent(name: str, modules: Modules) -> ModuleSpec:
    """Return the spec by which an import gets a module under its plain name."""
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
