"""The modules of one folder, under private names, whose imports search the folder first."""

import builtins
import hashlib
import importlib
import importlib.util
import itertools
import opcode
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from runstore.beside import _plain

__all__ = ["PREFIX", "Loader", "Modules", "asked_by_statement", "forget_ordinary", "home_of"]

PREFIX = "_runstore_beside_"
_KEPT = frozenset({*sys.stdlib_module_names, "__main__", "runstore"})
_numbers = itertools.count(1)


class Modules:
    """The modules of one version of a folder.

    Args:
        folder: Absolute, without symbolic links.
        state: On a worker: the digest of the folder's files that came with the call.
        share: Whether modules that ordinary imports have loaded from this folder are used,
            instead of being loaded again; no longer once a loaded file has changed.
    """

    def __init__(self, folder: Path, state: str | None = None, *, share: bool = False) -> None:
        self.folder = folder
        self.state = state
        self.root = f"{PREFIX}{next(_numbers)}"
        self.loaded: dict[str, ModuleType] = {}  # by plain name
        self.users = 0
        """How many runs use them."""
        self.free: dict[str, bool] = {}
        """Whether a top-level name is free in this process: no other module has it. A cache."""
        self._digests: dict[str, bytes] = {}
        self._owned: dict[str, bool] = {}
        self._share = share and all(map(_is_as_on_disk, _ordinary_of(folder).values()))
        self.note_shared()
        package = ModuleType(self.root)
        package.__path__ = [str(folder)]
        package.__spec__ = ModuleSpec(self.root, None, is_package=True)
        sys.modules[self.root] = package
        # A module's import statements call the __import__ of its builtins.
        self.builtins = {**vars(builtins), "__import__": self._import}

    def __repr__(self) -> str:
        return f"<modules beside {self.folder}>"

    @property
    def changed(self) -> bool:
        """Whether a file that was loaded has been changed since."""
        return any(_digest(Path(file)) != digest for file, digest in self._digests.items())

    def owns(self, name: str) -> bool:
        """Return whether the module called *name* is loaded from this folder."""
        top = name.partition(".")[0]
        owned = self._owned.get(top)
        if owned is None:
            owned = top not in _KEPT and self._supplies(top) and not self._is_shared(top)
            self._owned[top] = owned
        return owned

    def look_again(self) -> None:
        """Forget which names the folder does not have: there may be new files."""
        self._owned = {top: owned for top, owned in self._owned.items() if owned}
        self.note_shared()

    def note_shared(self) -> None:
        """Record the digests of the files that ordinary imports have loaded from this folder."""
        if self._share:
            for module in _ordinary_of(self.folder, below=True).values():
                file = str(module.__file__)
                self._digests.setdefault(file, _digest(Path(file)))

    def module(self, name: str) -> ModuleType:
        """Import by its plain name a module that this folder `owns`.

        Raises:
            ImportError: As from an import statement.
        """
        return self._load(f"{self.root}.{name}")

    def note(self, name: str, module: ModuleType, file: str, data: bytes) -> None:
        """Record that a module is being loaded, and the content of its file."""
        self.loaded[name] = module
        self._digests[file] = hashlib.sha256(data).digest()

    def drop(self) -> None:
        """Remove the modules from `sys.modules`; functions and classes that are in use go on."""
        for name in [key for key in sys.modules if key.partition(".")[0] == self.root]:
            sys.modules.pop(name, None)

    def _supplies(self, top: str) -> bool:
        spec = PathFinder.find_spec(top, [str(self.folder)])
        if spec is None:
            return False
        # A folder without __init__.py counts if there is no package of that name elsewhere.
        return spec.loader is not None or _plain.ordinary(top) is None

    def _is_shared(self, top: str) -> bool:
        """Return whether an ordinary import gets this name from this very folder."""
        if not self._share:
            return False
        there = sys.modules.get(top)
        if there is not None:
            return home_of(there) == self.folder and not isinstance(there.__loader__, Loader)
        spec = _plain.ordinary(top)
        if spec is None or spec.origin is None:
            return False
        file = Path(spec.origin).resolve()
        self._digests.setdefault(str(file), _digest(file))
        return _home(file) == self.folder

    def _load(self, private: str) -> ModuleType:
        try:
            return importlib.import_module(private)
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.partition(".")[0] != self.root:
                raise
            plain = exc.name.partition(".")[2]
            raise ModuleNotFoundError(f"No module named {plain!r}", name=plain) from None

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as builtins.__import__ has it
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what `builtins.__import__` does, but search the folder first."""
        if level:
            package = (globals or {}).get("__package__") or ""
            if package.partition(".")[0] != self.root:
                return builtins.__import__(name, globals, locals, fromlist or (), level)
            private = importlib.util.resolve_name("." * level + name, package)
        elif self.owns(name):
            private = f"{self.root}.{name}"
        else:
            if _is_of_another(name, self) and asked_by_statement(sys._getframe(1)):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return builtins.__import__(name, globals, locals, fromlist or (), 0)
        module = self._load(private)
        hidden = not level and sys.modules.get(name) is not module
        if hidden and not asked_by_statement(sys._getframe(1)):
            _plain.show_again(self, name)  # pickle reads sys.modules next
        if not fromlist:
            top = self.root if level else f"{self.root}.{name.partition('.')[0]}"
            return sys.modules[top]
        if hasattr(module, "__path__"):
            self._load_named(module, private, fromlist)
        return module

    def _load_named(self, package: ModuleType, private: str, names: Sequence[str]) -> None:
        """Load the modules among the names of ``from package import names``."""
        for name in names:
            if name == "*":
                self._load_named(package, private, getattr(package, "__all__", ()))
            elif not hasattr(package, name):
                wanted = f"{private}.{name}"
                try:
                    self._load(wanted)
                except ModuleNotFoundError as exc:
                    if exc.name != wanted.partition(".")[2]:
                        raise  # the module exists, and a module that it imports does not


class Loader(SourceFileLoader):
    """Loads one module of a folder from its source file, never from a cache of bytecode.

    Args:
        fullname: Its private name.
        path: Its file.
        modules: The folder's modules.
    """

    def __init__(self, fullname: str, path: str, modules: Modules) -> None:
        super().__init__(fullname, path)
        self._modules = modules

    def exec_module(self, module: ModuleType) -> None:
        """Execute it with its plain name, and with imports that search its folder first."""
        modules, plain = self._modules, self.name.partition(".")[2]
        data = self.get_data(self.path)
        code = self.source_to_code(data, self.path)
        modules.note(plain, module, self.path, data)
        module.__name__ = plain
        vars(module)["__builtins__"] = modules.builtins
        above, _, last = self.name.rpartition(".")
        setattr(sys.modules[above], last, module)  # as a circular ``from . import`` finds it
        try:
            with _plain.in_place(modules, plain, module):
                exec(code, vars(module))  # noqa: S102 - the workflow's own code
                final = sys.modules.get(plain, module)
        except BaseException:
            modules.loaded.pop(plain, None)
            raise
        if final is not module:  # it has replaced itself in sys.modules
            modules.loaded[plain] = sys.modules[self.name] = final


def _is_of_another(name: str, modules: Modules) -> bool:
    """Return whether an ordinary import would find this name only in another workflow."""
    top = name.partition(".")[0]
    if top in sys.modules:
        return _plain.shown_by(top) not in (None, modules)
    return top not in _KEPT and _plain.ordinary(top) is None


def asked_by_statement(frame: FrameType) -> bool:
    """Return whether this frame executes an import statement, and not a call, as pickle does."""
    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_NAME"]


def home_of(module: ModuleType) -> Path | None:
    """Return the folder in which a top-level module was found."""
    file = getattr(module, "__file__", None)
    return _home(Path(file).resolve()) if isinstance(file, str) else None


def _home(file: Path) -> Path:
    return file.parent.parent if file.name == "__init__.py" else file.parent


def _ordinary_of(folder: Path, *, below: bool = False) -> dict[str, ModuleType]:
    """Return the modules that ordinary imports have loaded from *folder*, or also *below* it."""
    tops = {
        name: module
        for name, module in sys.modules.copy().items()
        if "." not in name
        and name not in _KEPT
        and isinstance(module, ModuleType)
        and not isinstance(getattr(module, "__loader__", None), Loader)
        and home_of(module) == folder
    }
    if not below:
        return tops
    return tops | {
        name: module
        for name, module in sys.modules.copy().items()
        if name.partition(".")[0] in tops and isinstance(getattr(module, "__file__", None), str)
    }


def forget_ordinary(folder: Path) -> None:
    """Remove what ordinary imports have loaded from *folder*, so that they load it anew."""
    for name in _ordinary_of(folder, below=True):
        sys.modules.pop(name, None)


def _is_as_on_disk(module: ModuleType) -> bool:
    """Return whether a module's file is unchanged, by time and size in its bytecode cache."""
    spec = module.__spec__
    if spec is None or spec.cached is None or spec.origin is None:
        return True
    try:
        noted = Path(spec.cached).read_bytes()[:16]
        now = Path(spec.origin).stat()
    except OSError:
        return True
    if noted[4:8] != bytes(4):
        return True  # that cache is checked by digest, not by time
    then = int.from_bytes(noted[8:12], "little"), int.from_bytes(noted[12:16], "little")
    return then == (int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""  # it is gone
