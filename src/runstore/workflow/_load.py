"""Workflows and configs from files, dicts or models."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstore.arguments import check_instance, check_keys, check_nested, unfit
from runstore.context import Config, Workflow, merge_configs
from runstore.errors import InvalidWorkflowError
from runstore.workflow._yaml import Document, read_documents, validated

__all__ = ["Source", "as_source", "load_config", "load_workflow", "values_for"]


@dataclass(frozen=True)
class Source:
    """A workflow, and the file that it was read from, if any."""

    workflow: Workflow
    document: Document | None = None

    @property
    def folder(self) -> Path | None:
        """The folder in which modules beside the file are looked for."""
        return self.document.path.absolute().parent if self.document else None

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
    """Return the workflow that `run_workflow` was given: a Workflow, a dict, or a path to YAML.

    Raises:
        InvalidWorkflowError: It is none of these, or wrong.
    """
    if isinstance(workflow, Workflow):
        return Source(workflow)
    if isinstance(workflow, Mapping):
        return Source(validated(Workflow, dict(workflow), "workflow"))
    if isinstance(workflow, (str, os.PathLike)):
        return _source_from(workflow)
    raise unfit(
        *("run_workflow", "workflow", "a Workflow, a dict of the same shape or a path", workflow),
        error=InvalidWorkflowError,
    )


def values_for(workflow: Workflow, config: Any) -> dict[str, Any]:
    """Return the config values *workflow* runs with.

    Args:
        workflow: The workflow that is about to run.
        config: A plain dict of values, which are taken as they are, or a list of
            Configs, dicts of that shape, and paths to YAML, which are merged if
            they select the workflow.

    Raises:
        InvalidWorkflowError: It is none of these, or wrong.
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        check_keys("run_workflow", "config", config)
        return dict(config)
    if isinstance(config, (Config, str, os.PathLike)):
        config = [config]
    if not isinstance(config, Sequence) or isinstance(config, (bytes, bytearray, memoryview)):
        expected = "a dict of values, or a list of Configs, dicts of that shape and paths"
        raise unfit("run_workflow", "config", expected, config, error=InvalidWorkflowError)
    return merge_configs(
        (found for position, entry in enumerate(config) for found in _configs(position, entry)),
        workflow,
    )


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
