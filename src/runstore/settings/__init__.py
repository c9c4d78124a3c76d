"""Settings outside of the code.

In order of precedence: ``RUNSTORE_*`` environment variables, ``runstore.toml``,
``[tool.runstore]`` in ``pyproject.toml``. Each file is the first of its name in the
working directory and its parents. A name that is no setting is refused: a misspelt one
would be ignored silently. Variables must be in upper case: of two that differ only in
case, one would be ignored silently.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from runstore.settings._found import tables, variables_set

if TYPE_CHECKING:
    from pydantic import SecretStr

    from runstore.settings._model import Settings
    from runstore.settings._origins import Origin, origins

__all__ = ["Defaults", "Origin", "Settings", "current_settings", "origins"]


class Defaults(NamedTuple):
    """The settings where nothing is set: `Settings`, without the time to import pydantic-settings.

    Attributes: As of `Settings`.
    """

    url: str | None = None
    namespace: str = "default"
    pickle: Literal["allow", "warn", "deny", "signed"] = "allow"
    durable: bool = False
    timeout: float = 60
    signing_key: "SecretStr | None" = None
    signing_keys_old: "tuple[SecretStr, ...]" = ()
    signing_scope: str | None = None
    contexts: str = "auto"
    run_stores: tuple[str, ...] = ()
    max_decoded: float | None = None
    storage_options: Mapping[str, dict[str, Any]] = MappingProxyType({})


def current_settings() -> "Settings | Defaults":
    """Return the settings as environment and files give them now.

    Raises:
        SettingsError: A name is no setting, a variable is not in upper case, a value is of the
            wrong kind, or a file cannot be read or is not TOML.
    """
    if not variables_set() and not tables():
        return _DEFAULTS
    from runstore.settings._model import read_settings  # pydantic-settings is slow to import

    return read_settings()


_DEFAULTS = Defaults()


def __getattr__(name: str) -> Any:
    if name == "Settings":
        from runstore.settings._model import Settings

        return Settings
    if name in ("Origin", "origins"):
        from runstore.settings import _origins

        return getattr(_origins, name)
    raise AttributeError(f"module 'runstore.settings' has no attribute {name!r}")
