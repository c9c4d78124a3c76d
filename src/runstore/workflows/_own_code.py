"""Which code is the user's own, what its files say, and the versions of all other libraries."""

import ast
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import xxhash

__all__ = ["Files", "digest_of", "file_of", "is_own_file"]

_RUNSTORE = str(Path(__file__).parents[1]) + os.sep


def digest_of(*parts: object) -> str:
    """Return a short digest of texts, numbers and tuples of them."""
    return xxhash.xxh3_64_hexdigest(repr(parts).encode(errors="backslashreplace"))


@lru_cache(maxsize=1)
def _folders_of_libraries() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({f"{os.path.realpath(path)}{os.sep}" for path in paths if path})


@lru_cache(maxsize=4096)
def is_own_file(path: str | None) -> bool:
    """Return whether a file is neither of Python, nor installed, nor of runstore."""
    if path is None or path.startswith("<frozen"):
        return False
    if path.startswith("<"):
        return True  # of a notebook, of a shell, or made by a decorator
    real = os.path.realpath(path)
    installed = ("site-packages", "dist-packages")
    if real.startswith(_RUNSTORE) or any(name in Path(real).parts for name in installed):
        return False
    return not real.startswith(_folders_of_libraries())


def _version_of(package: str) -> str | None:
    """Return the version of the library with a top-level package; None for Python's own."""
    if package in sys.stdlib_module_names or package in ("runstore", "__main__", "builtins"):
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        pass
    known = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(known, str):
        return known
    names = metadata.packages_distributions().get(package)
    return metadata.version(names[0]) if names else "?"


class Files:
    """Source files, each read and parsed once, and versions of libraries."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module | None] = {}
        self._top_levels: dict[str, tuple[str, set[str]]] = {}
        self._versions: dict[str, str | None] = {}

    def version_of(self, package: str) -> str | None:
        """Return the version of the library with a top-level package; None for Python's own."""
        if package not in self._versions:
            self._versions[package] = _version_of(package)
        return self._versions[package]

    def tree(self, path: str | None) -> ast.Module | None:
        """Return what a file says, without docstrings; None if it cannot be read."""
        if path is None or not path.endswith(".py"):
            return None
        if path not in self._trees:
            try:
                self._trees[path] = _without_docstrings(ast.parse(Path(path).read_bytes()))
            except (OSError, SyntaxError, ValueError, RecursionError):
                self._trees[path] = None
        return self._trees[path]

    def class_in(self, path: str | None, qualname: str) -> ast.ClassDef | None:
        """Return the definition of a class that stands in a file under its qualified name."""
        node: Any = self.tree(path)
        for name in qualname.split("."):
            body = getattr(node, "body", ())
            found = [one for one in body if isinstance(one, ast.ClassDef) and one.name == name]
            if not found:
                return None
            node = found[-1]
        return node if isinstance(node, ast.ClassDef) else None

    def top_level(self, path: str | None) -> tuple[str, set[str]]:
        """Return a digest of what a module does when it is imported, and the names it uses.

        Definitions, imports and plain assignments are left out: they count where they are used.
        """
        if (known := self._top_levels.get(str(path))) is not None:
            return known
        tree = self.tree(path)
        doing = [node for node in ([] if tree is None else tree.body) if _does_something(node)]
        names = {one.id for node in doing for one in ast.walk(node) if isinstance(one, ast.Name)}
        self._top_levels[str(path)] = digest_of(*map(ast.dump, doing)), names
        return self._top_levels[str(path)]

    def whole(self, path: str) -> str:
        """Return a digest of all that a file says; of its bytes if it is no source."""
        tree = self.tree(path)
        if tree is not None:
            return digest_of(ast.dump(tree))
        try:
            return digest_of(Path(path).read_bytes())
        except OSError:
            return "?"

    def imports(self, path: str, *, first: bool = False) -> list[tuple[str, int, tuple[str, ...]]]:
        """Return what a file imports: module, level, names.

        Args:
            path: The file.
            first: Only what it imports when it is imported itself, not in its functions.
        """
        tree = self.tree(path)
        found: list[tuple[str, int, tuple[str, ...]]] = []
        nodes = () if tree is None else _at_first(tree) if first else ast.walk(tree)
        for node in nodes:
            if isinstance(node, ast.Import):
                found += [(one.name, 0, ()) for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = tuple(one.name for one in node.names)
                found.append((node.module or "", node.level, names))
        return found

    def imported(self, path: str, module: str, level: int, names: tuple[str, ...]) -> list[str]:
        """Return the own files that an import statement in the file *path* loads."""
        base = Path(path).parent
        for _ in range(level - 1):
            base = base.parent
        if level:
            return _files_below(base, module, names)
        found = _files_below(base, module, names)
        if found or not module:
            return found
        top = module.partition(".")[0]
        loaded = sys.modules.get(top)
        origin = getattr(loaded, "__file__", None) if loaded is not None else _origin(top)
        if not is_own_file(origin) or origin is None:
            return []
        folder = Path(origin).parent
        folder = folder.parent if Path(origin).name == "__init__.py" else folder
        return _files_below(folder, module, names)


def _origin(package: str) -> str | None:
    try:
        spec = find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return None
    return None if spec is None or not spec.has_location else spec.origin


def _files_below(folder: Path, module: str, names: tuple[str, ...]) -> list[str]:
    """Return the files of a module under a folder: its packages' too, and those of its parts."""
    found: list[str] = []
    at = folder
    for name in filter(None, module.split(".")):
        at = at / name
        candidates = (at / "__init__.py", at.with_name(f"{name}.py"))
        here = [str(one) for one in candidates if one.is_file()]
        if not here and not at.is_dir():
            return []
        found += here[:1]
    for name in names:
        for one in (at / name / "__init__.py", at / f"{name}.py"):
            if at.is_dir() and one.is_file():
                found.append(str(one))
    return found


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            text = getattr(first.value, "value", None) if isinstance(first, ast.Expr) else None
            if isinstance(text, str):
                node.body = node.body[1:]
    return tree


def _at_first(node: ast.AST) -> Iterator[ast.AST]:
    """Return a node and those in it, without those of functions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _at_first(child)


def _does_something(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)):
        return False
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return not all(isinstance(one, ast.Name) and one.id != "_" for one in targets)
    if isinstance(node, ast.If):
        test = ast.dump(node.test)
        return "TYPE_CHECKING" not in test and "__main__" not in test
    return True


def file_of(module: ModuleType) -> str | None:
    """Return the file of a module, or None."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None
