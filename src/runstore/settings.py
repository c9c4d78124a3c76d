"""What a user may set once, outside the code.

In order of precedence: ``RUNSTORE_*`` environment variables, ``runstore.toml``,
``[tool.runstore]`` in ``pyproject.toml``; both files are looked for in the
working directory and its parents, as far as the first that exists.
"""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from runstore.errors import SettingsError

__all__ = ["Settings", "current_settings"]


class Settings(BaseSettings):
    """The settings of this process; every one has a working default.

    Attributes:
        url: Where the default store is; ``.runstore`` under the working directory
            if not given. A relative path is taken from the working directory.
        namespace: The namespace of runs that name none.
        pickle: The default store's pickle policy.
        durable: Whether the default store waits for the disk on every put.
        timeout: Seconds the default store waits for a remote place, retries included.
        signing_key: Secret; signs objects and checks them under the policy ``signed``.
            Better set as ``RUNSTORE_SIGNING_KEY`` than in a file that others read.
    """

    model_config = SettingsConfigDict(
        env_prefix="RUNSTORE_",
        frozen=True,
        extra="forbid",  # a misspelled key in a file is an error, not silence
        pyproject_toml_table_header=("tool", "runstore"),
        hide_input_in_errors=True,  # it may be the signing key
    )

    url: str | None = None
    namespace: str = "default"
    pickle: Literal["allow", "warn", "deny", "signed"] = "allow"
    durable: bool = False
    timeout: float = 60
    signing_key: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the nearest runstore.toml, then the nearest pyproject.toml."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, _nearest("runstore.toml")),
            PyprojectTomlConfigSettingsSource(settings_cls, _nearest("pyproject.toml")),
        )


def current_settings() -> Settings:
    """Return the settings as environment and files give them now.

    Raises:
        SettingsError: A setting has a value of the wrong kind, or a file is not TOML.
    """
    try:
        return Settings()
    except ValidationError as exc:
        reasons = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()
        )
        raise SettingsError(
            f"runstore's settings are not understood ({reasons}): look at the RUNSTORE_* "
            "environment variables, runstore.toml and [tool.runstore] in pyproject.toml"
        ) from exc
    except ValueError as exc:  # tomllib.TOMLDecodeError
        raise SettingsError(f"runstore.toml or pyproject.toml is not valid TOML: {exc}") from exc


def _nearest(filename: str) -> Path | None:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (path := folder / filename).is_file():
            return path
    return None
