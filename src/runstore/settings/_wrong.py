"""What is wrong with values of settings, in the words of someone who sets them."""

import json
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from runstore.secret_names import is_secret
from runstore.settings._found import PREFIX, tables

__all__ = ["named", "sources", "wrong_values"]

_LONGEST = 60  # characters of a value in a message
_KINDS = {
    "bool": "it must be true or false",
    "dict": "it must be a table",
    "float": "it must be a number",
    "string": "it must be text",
    "tuple": "it must be a list, or text separated by blanks",
}


def wrong_values(errors: list[Any], policies: tuple[str, ...]) -> dict[str, str]:
    """Return what is wrong by the name of the setting: its value, where that is set, and why.

    Args:
        errors: Of pydantic, for the settings.
        policies: What `pickle` may be.
    """
    found: dict[str, str] = {}
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else "?"
        found.setdefault(name, f"{_set_where(name)}: {_why(name, error, policies)}")
    return found


def sources(name: str) -> list[str]:
    """Return the variable and the files that give a setting, the one that counts first."""
    variable = f"{PREFIX}{name}".upper()
    found = [variable] if os.environ.get(variable) else []
    return found + [named(path) for path, table in tables() if name in table]


def named(path: str) -> str:
    """Return a file of settings as messages name it."""
    return f"[tool.runstore] in {path}" if path.endswith("pyproject.toml") else path


def _set_where(name: str) -> str:
    variable = next((v for v in os.environ if v.upper() == f"{PREFIX}{name}".upper()), None)
    if variable is not None and os.environ[variable]:
        return f"{name} (environment variable {variable})"  # without a value: it may be a secret
    for path, table in tables():
        if name in table:
            return f"{name}{_shown(name, table[name])} in {named(path)}"
    return name


def _shown(name: str, value: Any) -> str:
    """Return the value as TOML has it; nothing of one that is, or may have, a secret."""
    hidden = name in ("url", "run_stores", "signing_key", "signing_keys_old", "storage_options")
    if hidden or is_secret(name, value):
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f" = {text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'}"


def _why(name: str, error: Mapping[str, Any], policies: tuple[str, ...]) -> str:
    kind, text = str(error["type"]), str(error["msg"]).removeprefix("Value error, ")
    if name == "pickle" and kind == "literal_error":
        return f"it must be {_choices(error.get('input'), policies)}"
    if kind == "string_too_short":
        return "it is empty"
    if kind == "finite_number":
        return "it must be a finite number"
    if kind.endswith(("_type", "_parsing")) and (known := _KINDS.get(kind.partition("_")[0])):
        return known
    start = "Input should be "
    return f"it must be {text.removeprefix(start)}" if text.startswith(start) else text


def _choices(given: object, policies: tuple[str, ...]) -> str:
    """Return the pickle policies, and which was perhaps meant."""
    *most, last = map(repr, policies)
    close = get_close_matches(given.lower() if isinstance(given, str) else "", policies, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{', '.join(most)} or {last}{hint}"
