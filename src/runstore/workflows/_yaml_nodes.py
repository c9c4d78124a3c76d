"""Checks of a YAML document on its nodes, before any value is built.

PyYAML reads YAML 1.1. Scalars that it reads as another value than their author meant are
refused with their position, and so are documents whose aliases expand without end.
"""

import re
import warnings

import yaml

from runstore.errors import AmbiguousYamlWarning, InvalidWorkflowError

__all__ = ["check_nodes", "mark_of"]

_LARGEST = 1_000_000  # values of a document, with its aliases written out
_TAG = "tag:yaml.org,2002:"
_FLAGS = {"on": "true", "yes": "true", "off": "false", "no": "false"}
_OCTAL = re.compile("[-+]?0[0-7_]+")


def check_nodes(node: yaml.Node, file: str) -> None:
    """Check a document.

    Args:
        node: Its root.
        file: The file, for messages.

    Raises:
        InvalidWorkflowError: It contains itself, is too large with its aliases written out, has a
            key twice, or a number that readers of YAML do not agree on.
    """
    _Checked(file).size_of(node)


def mark_of(node: yaml.Node) -> str:
    """Return the position of a node in its file: ``line:column``, counted from 1."""
    return f"{node.start_mark.line + 1}:{node.start_mark.column + 1}"


class _Checked:
    """Checks one document; each node once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._sizes: dict[int, int | None] = {}  # None while a node's parts are being looked at

    def size_of(self, node: yaml.Node) -> int:
        """Check a node and what is in it; return how many values that is, written out."""
        if id(node) in self._sizes:
            known = self._sizes[id(node)]
            if known is None:
                raise self._refused(node, "this part contains itself by an alias")
            return known
        self._sizes[id(node)] = None
        size = 1
        if isinstance(node, yaml.MappingNode):
            self._refuse_twins(node)
            for key, value in node.value:
                size += self.size_of(key) + self.size_of(value)
        elif isinstance(node, yaml.SequenceNode):
            size += sum(map(self.size_of, node.value))
        elif isinstance(node, yaml.ScalarNode):
            self._check_scalar(node)
        if size > _LARGEST:
            raise self._refused(
                node, f"this part has more than {_LARGEST:,} values when aliases are written out"
            )
        self._sizes[id(node)] = size
        return size

    def _refuse_twins(self, node: yaml.MappingNode) -> None:
        """Refuse a key given twice, of which YAML readers silently keep the last."""
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if (key.tag, key.value) in keys:
                    raise self._refused(key, f"the key {key.value!r} is given twice")
                keys.add((key.tag, key.value))

    def _check_scalar(self, node: yaml.ScalarNode) -> None:
        if node.style is not None:
            return  # in quotes: text
        word = node.value
        if node.tag == f"{_TAG}bool" and (value := _FLAGS.get(word.lower())) is not None:
            warnings.warn(
                AmbiguousYamlWarning(
                    f"{self._file}:{mark_of(node)}: {word} is read as {value} here and as text by "
                    f"other readers: write {value}, or {word!r} in quotes"
                ),
                stacklevel=2,
            )
        elif node.tag == f"{_TAG}int" and _OCTAL.fullmatch(word):
            raise self._refused(
                node,
                f"{word} is an octal number to some readers and a decimal one to others: write it "
                f"without the leading zero, or {word!r} in quotes",
            )
        elif node.tag in (f"{_TAG}int", f"{_TAG}float") and ":" in word:
            raise self._refused(
                node,
                f"{word} is a number to base 60 to some readers and text to others: write the "
                f"number, as of seconds, or {word!r} in quotes",
            )

    def _refused(self, node: yaml.Node, reason: str) -> InvalidWorkflowError:
        return InvalidWorkflowError(f"{self._file}:{mark_of(node)}: {reason}", self._file)
