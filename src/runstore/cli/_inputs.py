"""What stages are given on the command line: files of configs, and inputs as ``K=V``."""

import json
from typing import Any

import typer

from runstore.cli._completion import complete_file
from runstore.errors import InvalidRequestError

__all__ = ["config_option", "input_option", "pairs"]


def config_option(tells: str) -> Any:
    """Return the option for files of configs, with its line of help."""
    return typer.Option("--config", "-c", metavar="FILE", help=tells, autocompletion=complete_file)


def input_option(tells: str) -> Any:
    """Return the option for inputs, with its line of help; `pairs` reads what it gets."""
    return typer.Option("--input", "-i", metavar="K=V", help=tells)


def pairs(option: str, given: list[str] | None) -> dict[str, Any]:
    """Parse ``k=v`` arguments; a value is parsed as JSON if it is JSON, else it is text.

    Raises:
        InvalidRequestError: An argument has no ``=`` or no key, or a key is given twice.
    """
    found: dict[str, Any] = {}
    for word in given or []:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InvalidRequestError(f"{option} {word!r}: write KEY=VALUE, like year=2013", word)
        if key in found:
            raise InvalidRequestError(f"{option} {key}: given twice", key)
        try:
            found[key] = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            found[key] = text
    return found


def _refuse_constant(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are Python's, not JSON
