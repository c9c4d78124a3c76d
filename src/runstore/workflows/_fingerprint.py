"""What the code of a stage consists of: its function, all that it uses of the user's own, versions.

The code is followed from the function on: the names that its bytecode has are looked up where it
was defined. Functions count by their bytecode, so comments, docstrings and layout do not; classes
by their source; other values by what they are. Of installed libraries the version counts.
"""

import ast
import dis
import enum
import functools
import logging
import re
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any

from runstore import beside
from runstore.context import pickle_digest
from runstore.faults import is_own_fault
from runstore.workflows._own_code import Files, digest_of, file_of, is_own_file

__all__ = ["code_parts"]

_MOST_PARTS = 400  # that a record has of one stage
_DEEPEST = 16
_HAS_DOCSTRING = 0x4000000
_LOOKS_UP = frozenset({"getattr", "vars", "attrgetter", "methodcaller", "__dict__"})
_RUNS_ANY = frozenset({"eval", "exec", "globals", "__import__", "import_module", "run_path"})
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))
_BOOKKEEPING = frozenset(
    {"__module__", "__dict__", "__weakref__", "__doc__", "__qualname__", "__firstlineno__"}
    | {"__static_attributes__", "_abc_impl", "__annotations_cache__", "__annotate_func__"}
)


def code_parts(function: Callable[..., Any], files: Files | None = None) -> dict[str, str]:
    """Return digests of the parts that a stage's code consists of, by name.

    Names are those of functions, classes and values (``module:name``), of modules (what they do
    when they are imported), and of libraries, with their versions.

    Args:
        function: The stage's code.
        files: What other stages have read already.
    """
    walk = _Walk(files or Files())
    walk.add("the stage", function, frozenset(), 0)
    parts = dict(sorted(walk.parts.items()))
    if len(parts) > _MOST_PARTS:
        together: dict[str, list[tuple[str, str]]] = {}
        for name, digest in parts.items():
            together.setdefault(name.partition(":")[0], []).append((name, digest))
        parts = {name: digest_of(*found) for name, found in together.items()}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **parts}


class _Walk:
    """Follows code from one function on."""

    def __init__(self, files: Files) -> None:
        self.parts: dict[str, str] = {}
        self._files = files
        self._seen: dict[int, Any] = {}  # the values themselves, so that ids stay theirs
        self._modules: set[str] = set()
        self._whole: set[str] = set()

    def add(self, name: str, value: Any, used: frozenset[str], depth: int) -> None:
        """Add a value that code uses.

        Args:
            name: For a value without a name of its own.
            value: The value.
            used: The names in the code that uses it.
            depth: How far inside of other values it stands.
        """
        if isinstance(value, types.ModuleType):
            self._add_module(value, used)
            return
        if isinstance(value, _PLAIN):
            self._note(name, digest_of(value))
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        inner = _inner(value)
        if inner is not value:
            for number, one in enumerate(inner):
                self.add(f"{name} {number}" if number else name, one, used, depth + 1)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType)):
            self._add_library(getattr(value, "__module__", None))
        else:
            self._note(name, self._value(name, value, depth))

    def _note(self, name: str, digest: str) -> None:
        self.parts[name] = digest if name not in self.parts else digest_of(self.parts[name], digest)

    def _add_library(self, module: Any) -> None:
        top = str(module or "").partition(".")[0]
        version = (
            self._files.version_of(top) if top and f"library {top}" not in self.parts else None
        )
        if version is not None:
            self.parts[f"library {top}"] = version

    def _add_function(self, function: types.FunctionType) -> None:
        code, module = function.__code__, function.__globals__.get("__name__", "?")
        if not is_own_file(code.co_filename) and not is_own_file(_file_in(function.__globals__)):
            self._add_library(module)
            return
        name = f"{module}:{function.__qualname__}"
        names = _names(code)
        self._add_module_of(function.__globals__)
        self._note(name, digest_of(_code(code)))
        for label, values in (
            ("default", function.__defaults__ or ()),
            ("default", tuple((function.__kwdefaults__ or {}).values())),
            ("closure", tuple(map(_content, function.__closure__ or ()))),
        ):
            for number, value in enumerate(values):
                self.add(f"{name} {label} {number}", value, names, 0)
        self._add_names(function.__globals__, names)
        self._add_imports(code, names, function.__globals__)

    def _add_names(self, values: dict[str, Any], names: frozenset[str]) -> None:
        module = values.get("__name__", "?")
        for one in sorted(names):
            if one in values:
                self.add(f"{module}:{one}", values[one], names, 0)

    def _add_class(self, kind: type) -> None:
        module = kind.__module__
        found = sys.modules.get(module) if module == "__main__" else _loaded(module)
        file = None if found is None else file_of(found)
        if not (is_own_file(file) if file is not None else module == "__main__"):
            self._add_library(module)
            return
        name = f"{module}:{kind.__qualname__}"
        for base in kind.__bases__:
            self.add(name, base, frozenset(), 0)
        definition = self._files.class_in(file, kind.__qualname__)
        if definition is None:
            for key, value in sorted(vars(kind).items()):
                if key not in _BOOKKEEPING and not key.startswith("__pydantic"):
                    self.add(f"{name}.{key}", value, frozenset(), 1)
            return
        self._note(name, digest_of(ast.dump(definition)))
        names = frozenset(_names_in(definition))
        if found is not None:
            self._add_module_of(vars(found))
            self._add_names(vars(found), names)
        for statement in ast.walk(definition):
            if isinstance(statement, (ast.Import, ast.ImportFrom)) and file is not None:
                self._add_statement(file, statement)

    def _add_module(self, module: types.ModuleType, used: frozenset[str]) -> None:
        if not is_own_file(file_of(module)):
            self._add_library(module.__name__)
            return
        values = vars(module)
        self._add_module_of(values)
        if used & (_LOOKS_UP | _RUNS_ANY):
            self._add_file(str(file_of(module)))
        self._add_names(values, used)

    def _add_module_of(self, values: dict[str, Any]) -> None:
        """Add what the module of a function does when it is imported, and those it imports."""
        file = _file_in(values)
        if file is not None:
            self._add_first(file, values)

    def _add_first(self, file: str, values: dict[str, Any] | None) -> None:
        if file in self._modules or not is_own_file(file):
            return
        self._modules.add(file)
        digest, names = self._files.top_level(file)
        self._note(f"what {_short(file)} does first", digest)
        if values is not None:
            self._add_names(values, frozenset(names))
        for imported in self._files.imports(file, first=True):
            for path in self._files.imported(file, *imported):
                if path not in self._modules:
                    loaded = _loaded_from(path)
                    self._add_first(path, None if loaded is None else vars(loaded))

    def _add_imports(
        self, code: types.CodeType, names: frozenset[str], values: dict[str, Any]
    ) -> None:
        """Add what a function imports itself, as whole files: it may not be loaded yet."""
        file = _file_in(values) or code.co_filename
        for statement in _imports(code):
            self._add_import(file, *statement)
        if names & _RUNS_ANY:  # any module beside it may be used
            for path in sorted(_beside(file)):
                self._add_file(path)

    def _add_statement(self, file: str, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            for one in statement.names:
                self._add_import(file, one.name, 0, ())
        else:
            names = tuple(one.name for one in statement.names)
            self._add_import(file, statement.module or "", statement.level, names)

    def _add_import(self, file: str, module: str, level: int, names: tuple[str, ...]) -> None:
        paths = self._files.imported(file, module, level, names)
        for path in paths:
            self._add_file(path)
        if not paths and not level:
            self._add_library(module)

    def _add_file(self, path: str) -> None:
        if path in self._whole or not is_own_file(path):
            return
        self._whole.add(path)
        self._note(f"file {_short(path)}", self._files.whole(path))
        for imported in self._files.imports(path):
            self._add_import(path, *imported)

    def _value(self, name: str, value: Any, depth: int) -> str:
        """Return a digest of a value, and add the code that is in it."""
        kind = type(value)
        label = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, _PLAIN):
            return digest_of(label, value)
        if depth > _DEEPEST or isinstance(value, (logging.Logger, types.ModuleType)):
            return digest_of(label)
        within = functools.partial(self._inside, name, depth=depth + 1)
        if isinstance(value, (list, tuple)):
            return digest_of(label, *map(within, value))
        if isinstance(value, (set, frozenset)):
            return digest_of(label, *sorted(map(within, value)))
        if isinstance(value, dict):
            return digest_of(label, *((within(key), within(one)) for key, one in value.items()))
        self.add(name, kind, frozenset(), depth + 1)
        if isinstance(value, (PurePath, enum.Enum)):
            return digest_of(label, str(value))
        if isinstance(value, re.Pattern):
            return digest_of(label, value.pattern, value.flags)
        try:
            return digest_of(label, pickle_digest(value))
        except Exception as exc:  # the pickling of a user's value is the user's code
            if is_own_fault(exc):
                raise
            state = _asked(value, "__dict__", {})
            return digest_of(label, within(dict(state)) if state else "")

    def _inside(self, name: str, value: Any, depth: int) -> str:
        if callable(value) or isinstance(value, types.ModuleType):
            self.add(name, value, frozenset(), depth)
            return digest_of(_asked(value, "__qualname__", type(value).__qualname__))
        return self._value(name, value, depth)


def _inner(value: Any) -> Any:
    """Return what stands inside of what wraps functions; else *value* itself."""
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.items()]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    if isinstance(value, property):
        return [one for one in (value.fget, value.fset, value.fdel) if one is not None]
    wrapped = _asked(value, "__wrapped__", None)
    if wrapped is not None and not isinstance(value, (types.FunctionType, type)):
        return [wrapped]  # of functools.cache; and the targets of stages
    return value


def _asked(value: Any, name: str, default: Any) -> Any:
    """Return an attribute; *default* where the value's class answers by code of its own.

    That may be a proxy of something that is not there now, as those of Flask and Werkzeug are, and
    raises then.
    """
    if any("__getattr__" in vars(kind) for kind in type(value).__mro__):
        return default
    return getattr(value, name, default)


def _code(code: types.CodeType) -> tuple[object, ...]:
    """Return what code does: all but names of files, lines and docstrings."""
    steps = tuple((one.opname, _constant(one.argval)) for one in dis.get_instructions(code))
    count = code.co_argcount + code.co_kwonlyargcount
    given = (code.co_varnames[:count], code.co_posonlyargcount, code.co_argcount)
    return (*given, code.co_flags & ~_HAS_DOCSTRING, steps)


def _constant(value: Any) -> object:
    if isinstance(value, types.CodeType):
        return _code(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, frozenset):  # its order is another in each process
        return sorted(map(repr, value))
    return type(value).__name__, repr(value)


def _codes(code: types.CodeType) -> Iterable[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _codes(one)


def _names(code: types.CodeType) -> frozenset[str]:
    """Return all names that code may look up, also as attributes."""
    return frozenset(name for one in _codes(code) for name in one.co_names)


def _names_in(node: ast.AST) -> Iterable[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr


def _imports(code: types.CodeType) -> Iterable[tuple[str, int, tuple[str, ...]]]:
    """Return the import statements in code: module, level, names."""
    for each in _codes(code):
        before: list[Any] = []
        for step in dis.get_instructions(each):
            if step.opname == "IMPORT_NAME":
                level = before[-2] if len(before) > 1 and isinstance(before[-2], int) else 0
                names = before[-1] if before and isinstance(before[-1], tuple) else ()
                yield step.argval, level, names
            before.append(step.argval)


def _short(path: str) -> str:
    file = PurePath(path)
    return f"{file.parent.name}/{file.name}" if file.name == "__init__.py" else file.name


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of a name that has no value yet
        return None


def _file_in(values: dict[str, Any]) -> str | None:
    file = values.get("__file__")
    return file if isinstance(file, str) else None


def _loaded(module: str) -> types.ModuleType | None:
    """Return a loaded module, of those beside the workflow first; None if it is not there."""
    try:
        return beside.import_module(module)
    except Exception as exc:  # a name that is made up, or code of the user's that fails
        if is_own_fault(exc):
            raise
        return None


def _loaded_from(path: str) -> types.ModuleType | None:
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == path:
            return module
    return None


def _beside(file: str) -> Iterable[str]:
    try:
        return [str(one) for one in Path(file).parent.glob("*.py")]
    except OSError:
        return []
