"""Where each setting comes from, for people who wonder why it is what it is."""

from typing import Any, NamedTuple

from runstore.secret_names import shown_address
from runstore.settings._wrong import sources

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
        wrong: What is wrong with the value, which is empty then; empty if nothing is.
    """

    name: str
    value: str
    source: str
    wrong: str = ""


def origins() -> list[Origin]:
    """Return every setting with its value and what gave it, as they are now.

    Raises:
        SettingsError: A name is no setting, a variable is not in upper case, or a file cannot be
            read or is not TOML. A wrong value is told in `Origin.wrong`.
    """
    from runstore.settings import Defaults
    from runstore.settings._model import read_leniently

    settings, wrong = read_leniently()
    found = []
    for name in Defaults._fields:
        given = sources(name)
        # Options of several sources are merged; of anything else the first source counts.
        kept = given if name == "storage_options" else given[:1]
        value = "" if name in wrong else _shown(name, getattr(settings, name))
        source = " and ".join(kept) or "default"
        found.append(Origin(name, value, source, wrong.get(name, "")))
    return found


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
