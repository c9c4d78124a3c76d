"""YAML files whose mistakes are reported with file, line and column."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from runstore.arguments import path_text
from runstore.context import (
    Config,
    ConfigSpec,
    Metadata,
    Selector,
    Stage,
    StageOptions,
    Workflow,
    WorkflowSpec,
    plain,
)
from runstore.errors import InvalidWorkflowError
from runstore.workflows._yaml_nodes import check_nodes

__all__ = ["Document", "read_documents", "validated"]

M = TypeVar("M", bound=BaseModel)
_Loc = Sequence[str | int]

_LARGEST_FILE = 10_000_000  # bytes

_FIELDS = sorted(
    {
        field
        for model in (
            *(Workflow, WorkflowSpec, Stage, StageOptions),
            *(Metadata, Config, ConfigSpec, Selector),
        )
        for field in model.model_fields
    }
)

_MEANT = {
    "depends": "depends_on",
    "function": "target",
    "max_retries": "retries",
    "needs": "depends_on",
    "retry": "retries",
}
"""What people write who know other programs, and the field that it is here."""


@dataclass(frozen=True)
class Document:
    """One document of a YAML file: its data, and the position of each part in the file."""

    path: Path
    data: Any
    node: yaml.Node

    def place(self, loc: _Loc = (), *, of_key: bool = False) -> str:
        """Return where *loc* is, or the innermost part of it that exists: ``file:line:column``.

        Args:
            loc: Keys and indexes from the top of the document.
            of_key: Whether to point at the last key instead of at its value.
        """
        line, column = self.position(loc, of_key=of_key)
        return f"{self.path}:{line}:{column}"

    def position(self, loc: _Loc = (), *, of_key: bool = False) -> tuple[int, int]:
        """Return line and column of what `place` names, counted from 1."""
        node = found = self.node
        for step in loc:
            child = _child(node, step)
            if child is None:
                break
            found, node = child if of_key else (child[1], child[1])
        return found.start_mark.line + 1, found.start_mark.column + 1


def read_documents(path: str | os.PathLike[str]) -> list[Document]:
    """Read every document of a YAML file, safely: it can hold plain data only.

    Raises:
        InvalidWorkflowError: There is no such file, it cannot be read, is not YAML,
            is empty or too large, contains itself, or has a key twice or a number that
            readers of YAML do not agree on.
    """
    file = _path(path)
    text = _text_in(file)
    try:
        documents = list(_documents(file, text))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        reason = ", ".join(part for part in (exc.context, exc.problem) if part)
        raise InvalidWorkflowError(f"{place}: not valid YAML: {reason}", str(file)) from exc
    except RecursionError as exc:
        raise InvalidWorkflowError(f"{file}: it is nested too deep", str(file)) from exc
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date like 2024-02-31
        raise InvalidWorkflowError(f"{file}: not valid YAML: {exc}", str(file)) from exc
    if not documents:
        raise InvalidWorkflowError(f"{file} is empty", str(file))
    return documents


def _path(path: str | os.PathLike[str]) -> Path:
    text = path_text("path", path, InvalidWorkflowError)
    try:
        if isinstance(text, str) and text and b"\0" not in os.fsencode(text):
            return Path(text)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        pass
    raise InvalidWorkflowError(f"{text!a} is no path of a file: name a YAML file")


def _text_in(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:  # no more than that: a device never ends
            text = opened.read(_LARGEST_FILE + 1)
    except FileNotFoundError as exc:
        here = "" if file.is_absolute() else f" (in {_here()})"
        raise InvalidWorkflowError(f"there is no file {str(file)!r}{here}", str(file)) from exc
    except OSError as exc:
        raise InvalidWorkflowError(
            f"{str(file)!r} cannot be read: {exc.strerror or exc}", str(file)
        ) from exc
    if len(text) > _LARGEST_FILE:
        raise InvalidWorkflowError(
            f"{file} is larger than {_LARGEST_FILE:,} bytes: put data into the store instead",
            str(file),
        )
    return text


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a working directory that does not exist any more"


def validated(model: type[M], data: Any, where: str | Document) -> M:
    """Build *model* from *data*.

    Args:
        model: A `Workflow` or a `Config`.
        data: Data that should have its shape.
        where: The document that *data* is from, or its name in messages.

    Raises:
        InvalidWorkflowError: It has another shape; the message names every mistake
            and, for a document, its line.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        # Items that are wrong do not count, so a list of them is also "too short".
        worth = [error for error in errors if error["type"] != "too_short"] or errors
        if isinstance(where, Document):
            worth.sort(key=lambda error: _position(error, where))
        mistakes = [_told(error, where, data) for error in worth]
        raise InvalidWorkflowError(
            "\n".join(dict.fromkeys(mistakes)),
            str(where.path) if isinstance(where, Document) else where,
        ) from exc


def _documents(file: Path, text: bytes) -> Iterator[Document]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            check_nodes(node, str(file))
            data = _built(loader, node)
            if data is not None:
                yield Document(file, data, node)
    finally:
        loader.dispose()


def _built(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    try:
        return loader.construct_document(node)
    except (LookupError, AttributeError, TypeError, OverflowError) as exc:
        # PyYAML raises these if a tag does not fit its text, as in !!bool maybe.
        raise yaml.YAMLError(f"a tag does not fit its value ({type(exc).__name__}: {exc})") from exc


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _stage_at(data: Any, loc: _Loc) -> str:
    """Return the name of the stage that a mistake is in, for a message; empty if there is none."""
    if tuple(loc[:2]) != ("spec", "stages") or len(loc) < 4:
        return ""
    try:
        name = data["spec"]["stages"][loc[2]]["name"]
    except (LookupError, TypeError, AttributeError):
        return ""
    return f"stage {name!r}: " if isinstance(name, str) and name else ""


def _field_meant(shown: _Loc) -> str:
    """Return which field may be meant by an unknown one, or where it belongs."""
    name, in_options = str(shown[-1]), "options" in shown
    if in_options and name in Stage.model_fields:
        return "; it belongs to the stage itself, beside 'options'"
    if not in_options and "stages" in shown and name in StageOptions.model_fields:
        return "; it belongs into 'options' of the stage"
    close = difflib.get_close_matches(name, _FIELDS, 1)
    meant = _MEANT.get(name) or (close[0] if close and close[0] != name else None)
    return f"; did you mean {meant!r}?" if meant else ""


def _shown(error: Mapping[str, Any]) -> tuple[list[str | int], bool]:
    """Return the path of a mistake as the reader wrote it, and whether its last key is meant."""
    # Alternatives of a union add a step of their own, which the reader did not write.
    steps = [step for step in error["loc"] if step not in ("str", "callable", "dict[str,str]")]
    return steps, error["type"] == "extra_forbidden"


def _position(error: Mapping[str, Any], where: Document) -> tuple[int, int]:
    steps, unknown = _shown(error)
    return where.position(steps, of_key=unknown)


def _told(error: Mapping[str, Any], where: str | Document, data: Any) -> str:
    loc: _Loc = error["loc"]
    shown, unknown = _shown(error)
    place = where.place(shown, of_key=unknown) if isinstance(where, Document) else where
    reason = plain(error)
    if error["type"] in ("string_type", "callable_type") and shown[-1:] == ["target"]:
        reason = "write the function as package.module.function"
    if error["type"] == "string_type" and isinstance(error.get("input"), bool):
        reason = "it must be text, not true or false: put words like on and no in quotes"
    if unknown:
        reason += _field_meant(shown)
    path = ".".join(map(str, shown))
    reason = f"{_stage_at(data, loc)}{reason}"
    return f"{place}: {path}: {reason}" if path else f"{place}: {reason}"
