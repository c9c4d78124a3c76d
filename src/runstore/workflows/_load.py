"""Workflows and configs from files, dicts or models."""

import inspect
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstore import beside
from runstore.arguments import check_instance, check_keys, check_nested, printable, unfit
from runstore.context import Config, Stage, Workflow, merge_configs, selects
from runstore.errors import InvalidWorkflowError, UnusedConfigWarning
from runstore.faults import is_own_fault
from runstore.workflows._python import STAGE
from runstore.workflows._targets import TargetError, named
from runstore.workflows._yaml import Document, read_documents, validated

__all__ = ["Source", "as_source", "load_config", "load_workflow", "values_for"]


@dataclass(frozen=True)
class Source:
    """A workflow, and the file that it was read from, if any.

    Attributes:
        home: The folder of the module that it was read from, if it was.
        text: ``module:name``, if it was read from a module.
    """

    workflow: Workflow
    document: Document | None = None
    home: Path | None = None
    text: str | None = None

    @property
    def named(self) -> str | None:
        """The file, or the text ``module:name``, that the workflow was read from, if it was."""
        return str(self.document.path.absolute()) if self.document else self.text

    @property
    def folder(self) -> Path | None:
        """The folder in which modules beside the file are looked for."""
        return self.document.path.absolute().parent if self.document else self.home

    def place(self, *loc: str | int) -> str:
        """Return ``file:line:column: `` for a part of the workflow, or nothing without a file."""
        return f"{self.document.place(loc)}: " if self.document else ""


def load_workflow(path: str | os.PathLike[str]) -> Workflow:
    """Read a workflow from a YAML file. Its targets are not imported.

    Raises:
        InvalidWorkflowError: The file is missing, is not YAML, holds more than one
            document, or has another shape; with file, line and column.
    """
    _check_path("load_workflow", path)
    return _source_from(path).workflow


def load_config(path: str | os.PathLike[str]) -> list[Config]:
    """Read the Config resources of a YAML file, one per document, in order.

    Raises:
        InvalidWorkflowError: The file is missing, is not YAML, or has another shape;
            with file, line and column.
    """
    _check_path("load_config", path)
    return [validated(Config, doc.data, doc) for doc in read_documents(path)]


def _check_path(call: str, path: object) -> None:
    check_instance(*(call, "path", path, (str, os.PathLike), "a path"), error=InvalidWorkflowError)


def as_source(workflow: Any) -> Source:
    """Return the workflow that `run_workflow` was given.

    That is a Workflow, a dict, a path to YAML, or ``module:name`` of one of the first two, or of
    a function that returns it.

    Raises:
        InvalidWorkflowError: It is none of these, or wrong.
    """
    if isinstance(workflow, Source):
        return workflow  # of the plug-in for pytest, which has changed some stages
    if isinstance(workflow, Workflow):
        return Source(workflow)
    if isinstance(workflow, Mapping):
        return Source(validated(Workflow, dict(workflow), "workflow"))
    if isinstance(workflow, str) and _IN_MODULE.fullmatch(workflow):
        return _source_in(workflow)
    if isinstance(workflow, (str, os.PathLike)):
        return _source_from(workflow)
    raise unfit(
        *("run_workflow", "workflow", "a Workflow, a dict of the same shape or a path", workflow),
        error=InvalidWorkflowError,
    )


def values_for(workflow: Workflow, config: Any, call: str = "run_workflow") -> dict[str, Any]:
    """Return the config values *workflow* runs with.

    Args:
        workflow: The workflow that is about to run.
        config: A plain dict of values, which are taken as they are; or a Config, a dict of
            that shape, a path of YAML, or a list of these, which are merged if they select
            the workflow. One that does not causes an `UnusedConfigWarning`.
        call: The function that it was given to, for errors.

    Raises:
        InvalidWorkflowError: It is none of these, or wrong.
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        check_keys(call, "config", config)
        if not _is_resource(config):
            return dict(config)
    if isinstance(config, (Config, Mapping, str, os.PathLike)):
        config = [config]
    if not isinstance(config, Sequence) or isinstance(config, (bytes, bytearray, memoryview)):
        expected = "a dict of values, or a list of Configs, dicts of that shape and paths"
        raise unfit(call, "config", expected, config, error=InvalidWorkflowError)
    found = [one for position, entry in enumerate(config) for one in _configs(position, entry)]
    for one in found:
        if not selects(one, workflow):
            _say_unused(one, workflow)
    return merge_configs(found, workflow)


def _is_resource(config: Mapping[str, Any]) -> bool:
    """Return whether a dict is a Config and not values: by its kind, or by its two parts."""
    return config.get("kind") == "config" or {"metadata", "spec"} <= config.keys()


def _say_unused(config: Config, workflow: Workflow) -> None:
    selector, name = config.spec.selector, workflow.metadata.name
    assert selector is not None
    if selector.kind not in (None, workflow.kind):
        why = f"its selector is for resources of the kind {selector.kind!r}"
    elif selector.type == "name":
        why = f"its selector asks for the name {selector.value!r}"
    else:
        has = workflow.metadata.annotations or "none"
        why = f"its selector asks for annotations {selector.value!r}, and the workflow has {has}"
    told = printable(f"config {config.metadata.name!r} is not used by workflow {name!r}: {why}")
    warnings.warn(UnusedConfigWarning(told), stacklevel=4)  # of whoever called run_workflow


def _configs(position: int, entry: Any) -> list[Config]:
    if isinstance(entry, (Config, Mapping)):
        if not isinstance(entry, Config):
            entry = validated(Config, dict(entry), f"config[{position}]")
        check_nested("run_workflow", f"config[{position}]", entry.spec.data)
        return [entry]
    if isinstance(entry, (str, os.PathLike)):
        return load_config(entry)
    expected = "a Config, a dict of the same shape or a path"
    argument = f"config[{position}]"
    raise unfit("run_workflow", argument, expected, entry, error=InvalidWorkflowError)


_IN_MODULE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")  # no suffix of YAML has a colon before it


def _source_in(text: str) -> Source:
    """Return the workflow that a module has under a name; the working directory is searched first.

    Raises:
        InvalidWorkflowError: There is none.
    """
    try:
        home = Path.cwd()
    except FileNotFoundError:
        raise InvalidWorkflowError(
            f"workflow {text!r}: the working directory does not exist any more", text
        ) from None
    modules = beside.modules_of(home)
    with beside.activated(modules), beside.within(modules), beside.alone():
        try:
            _, found = named(text)
        except TargetError as exc:
            raise InvalidWorkflowError(f"workflow {text!r}: {exc}", text) from (
                exc.__cause__ or exc
            )
        is_stage = isinstance(found, Stage) or isinstance(getattr(found, STAGE, None), Stage)
        if is_stage or not callable(found) or isinstance(found, (Workflow, Mapping)):
            made = found
        else:
            made = _made_by(found, text)
    if isinstance(made, Mapping):
        made = validated(Workflow, dict(made), text)
    if is_stage:
        raise InvalidWorkflowError(f"workflow {text!r}: it is a stage. {_way_out(text)}", text)
    if not isinstance(made, Workflow):
        what = "it is of" if made is found else "it returns a value of"
        raise InvalidWorkflowError(
            f"workflow {text!r}: {what} type {type(made).__name__}, and not a Workflow, a dict "
            f"of the same shape, or a function that returns one. {_way_out(text)}",
            text,
        )
    return Source(made, home=home, text=text)


def _made_by(function: Callable[..., Any], text: str) -> Any:
    """Return what a function returns that was named as a workflow.

    Raises:
        InvalidWorkflowError: It has parameters, or fails.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of code in C
        signature = inspect.Signature()
    needed = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise InvalidWorkflowError(
            f"workflow {text!r}: it is a function with the parameters {', '.join(needed)}. A "
            f"function that makes a workflow takes none. {_way_out(text)}",
            text,
        )
    try:
        made = function()
    except Exception as exc:  # whatever the user's code raises
        if is_own_fault(exc):
            raise
        raise InvalidWorkflowError(
            f"workflow {text!r}: it was called to make the workflow, and raised "
            f"{type(exc).__name__}: {printable(str(exc))}. {_way_out(text)}",
            text,
        ) from exc
    if inspect.iscoroutine(made):
        made.close()  # else Python warns that nobody has awaited it
    return made


def _way_out(text: str) -> str:
    name = text.rpartition(":")[2].rpartition(".")[2]
    return (
        "To run a stage, make a workflow of it and name that: "
        f'flow = runstore.workflow("{name}", {name})'
    )


def _source_from(path: str | os.PathLike[str]) -> Source:
    documents = read_documents(path)
    if len(documents) > 1:
        raise InvalidWorkflowError(
            f"{documents[1].place()}: a second document, but a workflow file holds one workflow; "
            "configs go into files of their own",
            str(path),
        )
    document = documents[0]
    return Source(validated(Workflow, document.data, document), document)
