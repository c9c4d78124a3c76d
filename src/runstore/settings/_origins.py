"""Where each setting comes from, for people who wonder why it is what it is."""

import os
from typing import Any, NamedTuple

from runstore.secret_names import shown_address
from runstore.settings._found import PREFIX, tables

__all__ = ["Origin", "origins"]

_HIDDEN = "(set, and not shown)"
_WITHOUT = {"url": ".runstore", "max_decoded": "1000; 100 where the writer is not trusted"}
"""What holds where nothing is set, and the default depends on more."""


class Origin(NamedTuple):
    """One setting.

    Attributes:
        name: The setting.
        value: What it is, as text; what is secret is not shown.
        source: The environment variable or the file that says so; ``default`` where none does.
    """

    name: str
    value: str
    source: str


def origins() -> list[Origin]:
    """Return every setting with its value and what gave it, as they are now.

    Raises:
        SettingsError: The settings are not understood; see `runstore.settings.current_settings`.
    """
    from runstore.settings import Defaults, current_settings

    settings, files = current_settings(), tables()
    found = []
    for name in Defaults._fields:
        variable = f"{PREFIX}{name}".upper()
        sources = [variable] if os.environ.get(variable) else []
        sources += [_named(path) for path, table in files if name in table]
        # Options of several sources are merged; of anything else the first source counts.
        kept = sources if name == "storage_options" else sources[:1]
        value = _shown(name, getattr(settings, name))
        found.append(Origin(name, value, " and ".join(kept) or "default"))
    return found


def _named(path: str) -> str:
    return f"[tool.runstore] in {path}" if path.endswith("pyproject.toml") else path


def _shown(name: str, value: Any) -> str:
    if name in ("signing_key", "signing_keys_old"):
        return _HIDDEN if value else ""
    if value is None and name in _WITHOUT:
        return _WITHOUT[name]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if name == "url":
        return shown_address(value)
    if name == "run_stores":
        return " ".join(map(shown_address, value))
    if value is None or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
