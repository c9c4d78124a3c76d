"""From ``package.module.function`` to the function, and to the arguments it takes."""

import asyncio
import difflib
import inspect
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, NamedTuple

from runstore import beside
from runstore.context import get_run_context, target_name
from runstore.faults import is_own_fault

__all__ = ["Arguments", "TargetError", "accepted", "listed", "named", "resolve", "run_stage"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class TargetError(Exception):
    """Why a stage's function cannot be used; the plan adds which stage it is."""


class _Imported:
    """A function that is pickled as its import string, however it was decorated."""

    def __init__(self, target: str, function: Callable[..., Any]) -> None:
        self._target = target
        self.modules = beside.current()  # where code that it calls is looked for
        self.__wrapped__ = function
        self.__name__ = target

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.__wrapped__(*args, **keywords)

    def __reduce__(self) -> tuple[Any, ...]:
        return resolve, (self._target,)


def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """Return the callable that *target* stands for.

    Args:
        target: ``package.module.function``, ``package.module:function``, either with
            further attributes (``module:Class.method``), or the callable itself.

    Raises:
        TargetError: There is no such module or attribute, importing it failed, or it
            cannot be called.
    """
    if not isinstance(target, str):
        return target
    module_name, function = named(target)
    if not callable(function):
        raise TargetError(f"it is of type {type(function).__name__}, which cannot be called")
    imported = _Imported(target, function)
    # Another process has another __main__; from there the function itself can cross.
    return imported if module_name != "__main__" else imported.__wrapped__


def named(target: str) -> tuple[str, Any]:
    """Return the module that *target* names, and what it names in there.

    Raises:
        TargetError: There is no such module or attribute, or importing it failed.
    """
    module_name, colon, attributes = target.partition(":")
    if colon:
        module, path = _import(module_name, target), attributes.split(".")
    else:
        module_name, module, path = _longest_module(target)
    value: Any = module
    for attribute in path:
        try:
            value = getattr(value, attribute)
        except AttributeError:
            raise TargetError(_no_attribute(module_name, value, attribute, module)) from None
        except Exception as exc:  # of the code of the module or class
            if is_own_fault(exc):
                raise
            raise TargetError(
                f"{attribute!r} of {_holder(module_name, value, module)} cannot be read: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
    return module_name, value


def run_stage(function: Callable[..., Any], keywords: tuple[str, ...], *args: Any) -> Any:
    """Call a stage's function and run all of its code.

    Coroutines are run, and the items of generators are collected in a list. So no code of the
    stage is left in the result, to run later outside of the stage's context.

    Args:
        function: The stage's code.
        keywords: The keys of the current run's input that it is given by name.
        args: Its positional arguments.
    """
    given: dict[str, Any] = {}
    if keywords:
        values = get_run_context().input
        given = {key: values[key] for key in keywords}
    with beside.within(getattr(function, "modules", None)):
        result = function(*args, **given)
        if inspect.iscoroutine(result):
            return asyncio.run(_awaited(result))
        if inspect.isgenerator(result):
            return list(result)
        if inspect.isasyncgen(result):
            return asyncio.run(_collected(result))
        return result


def listed(stage: str, source: str, value: Any, *, of_input: bool = False) -> list[Any]:
    """Return the items of *value*, for *stage* to be mapped over.

    Args:
        stage: Which stage is mapped.
        source: The stage that returned *value*, or the key of the input.
        value: What has the items.
        of_input: Whether *source* is a key of the input.

    Raises:
        TypeError: It has no items.
    """
    hint = ""
    if isinstance(value, Mapping):
        hint = " (for its pairs, return list(mapping.items()))"
    if not hint and isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray)):
        return list(value)
    shown = "None" if value is None else f"of type {type(value).__qualname__}"
    what, must = f"the result of stage {source!r}", f"{source!r} must return a list of items"
    if of_input:
        what, must = f"the input {source!r}", "pass a list of items"
        hint = " (for its pairs, pass list(mapping.items()))" if hint else ""
    raise TypeError(f"stage {stage!r} maps over {what}, which is {shown}: {must}{hint}")


class Arguments(NamedTuple):
    """What a stage's function is called with, after the item if it is mapped.

    Attributes:
        results: The stages whose results it is given, in this order.
        keywords: The keys of the run's input that it is given by name.
    """

    results: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def accepted(
    function: Callable[..., Any],
    item: str | None,
    results: tuple[str, ...],
    given: Collection[str] = (),
) -> Arguments:
    """Return what the function is to be called with.

    A function without positional parameters is given no results; one that takes as many as
    there are, or ``*args``, is given all; one that is mapped and takes the item alone is given
    the item alone. Parameters that are then left are filled from the run's input, by name; a
    ``**kwargs`` takes the rest of it in a stage that depends on none and is not mapped.

    Args:
        function: The stage's code.
        item: The stage or the key of the input whose items are the first argument, or None.
        results: The stages whose results follow.
        given: The keys of the run's input.

    Raises:
        TargetError: The function needs something else.
    """
    inner = function.__wrapped__ if isinstance(function, _Imported) else function
    try:
        parameters = list(inspect.signature(inner).parameters.values())
    except (ValueError, TypeError):
        return Arguments(results)  # some builtins have no signature; they complain when called
    known = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    more = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    fixed = 0 if item is None else 1
    filled, passed = fixed + len(results), results
    if len(known) == fixed and not more:
        filled, passed = fixed, ()
    if filled > len(known) and not more:
        raise TargetError(_too_many(item, results, known))
    left = [one for one in parameters if one.kind is one.KEYWORD_ONLY] + known[filled:]
    keywords = [one.name for one in left if one.name in given and _takes_keyword(one)]
    needed = [one for one in left if one.default is one.empty and one.name not in keywords]
    if needed:
        first = [one for one in known[:filled] if one.default is one.empty]
        raise TargetError(_missing(item, results, [*first, *needed], needed[0].name))
    if not filled and any(one.kind is one.VAR_KEYWORD for one in parameters):
        keywords += [key for key in given if key not in keywords]
    return Arguments(passed, tuple(keywords))


def _takes_keyword(parameter: inspect.Parameter) -> bool:
    return parameter.kind is not parameter.POSITIONAL_ONLY


def _offer(item: str | None, results: tuple[str, ...]) -> str:
    given = ([f"an item of {item!r}"] if item else []) + [f"the result of {n!r}" for n in results]
    return f"it is given {' and '.join(given)}" if given else "it depends on no stage"


def _too_many(
    item: str | None, results: tuple[str, ...], known: Sequence[inspect.Parameter]
) -> str:
    if not known:
        return f"{_offer(item, results)}, but takes no argument; it must take the item"
    return (
        f"{_offer(item, results)}, but takes only {_listed([one.name for one in known])}. It must "
        "take as many as depends_on names, or *args, or none and read them with object_store.get"
    )


def _missing(
    item: str | None, results: tuple[str, ...], needed: Sequence[inspect.Parameter], lacks: str
) -> str:
    names = [one.name for one in needed]
    kind = "the keyword " if all(one.kind is one.KEYWORD_ONLY for one in needed) else ""
    return (
        f"missing input: it needs {kind}{_listed(names)}, but {_offer(item, results)}. Pass "
        f"{lacks!r} as input of the run (--input {lacks}=…, run_workflow(input=…)), name the "
        "stages whose results it takes in depends_on, or read them with object_store.get"
    )


async def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


async def _collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def _longest_module(target: str) -> tuple[str, Any, list[str]]:
    """Split ``a.b.c.d`` at the longest part that is a module."""
    parts = target.split(".")
    if len(parts) < 2 or not all(parts):
        raise TargetError("write it as package.module.function")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            return name, _import(name, target), parts[end:]
        except _NoModuleError:
            if end == 1:
                raise
    raise AssertionError(target)


class _NoModuleError(TargetError):
    """There is no such module, as opposed to one that fails."""


def _import(name: str, target: str) -> Any:
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise TargetError("write it as package.module.function or package.module:function")
    try:
        return beside.import_module(name)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise _NoModuleError(
                f"there is no module {missing!r}; modules beside the workflow file and on "
                "PYTHONPATH are found"
            ) from exc
        raise TargetError(f"importing {name!r} failed: {exc}") from exc
    except (Exception, SystemExit) as exc:  # a script ends so when it is imported
        if is_own_fault(exc):
            raise
        raise TargetError(f"importing {name!r} failed: {type(exc).__name__}: {exc}") from exc


def _holder(module_name: str, holder: Any, module: Any) -> str:
    where = f"module {module_name!r}" if holder is module else repr(target_name(holder))
    file = getattr(module, "__file__", None)
    return f"{where} ({file})" if file else where


def _no_attribute(module_name: str, holder: Any, attribute: str, module: Any) -> str:
    where = _holder(module_name, holder, module)
    names = [name for name in dir(holder) if not name.startswith("_")]
    close = difflib.get_close_matches(attribute, names, 1)
    return f"{where} has no {attribute!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
