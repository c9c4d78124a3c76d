"""The settings as a model of pydantic-settings, where anything is set."""

from collections.abc import Iterable
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NotDecodedError

from runstore.arguments import LONGEST_WAIT
from runstore.errors import SettingsError
from runstore.names import check_namespace
from runstore.secret_names import is_secret
from runstore.settings._found import PREFIX, tables, variables_set
from runstore.settings._wrong import wrong_values

__all__ = ["Settings", "read_leniently", "read_settings"]

_PREFIX = PREFIX

_Policy = Literal["allow", "warn", "deny", "signed"]
_POLICIES: tuple[str, ...] = get_args(_Policy)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is blank")
    return text


class Settings(BaseSettings):
    """The settings of this process; every one has a working default.

    Attributes:
        url: Where the default store is; ``.runstore`` under the working directory
            if not given. A relative path is taken from the working directory, in a file of
            settings from that file's folder.
        namespace: The namespace of runs that name none.
        pickle: The default store's pickle policy.
        durable: Whether the default store waits for the disk on every put.
        timeout: Seconds the default store waits for a remote place, retries included; at
            most a week.
        signing_key: Secret; signs objects and checks them under the policy ``signed``.
            Better set as ``RUNSTORE_SIGNING_KEY`` than in a file that others read.
        signing_keys_old: Secret; further keys whose signatures are accepted, separated by
            blanks or as a list. Nothing is signed with them.
        signing_scope: Part of every signature: an object signed in another scope is not
            accepted. It separates stores that share a key, as ``staging`` and ``prod``.
            If the key is in the environment, old keys and scope are taken only from there.
        contexts: In whose runs `get_run_context` finds a context where none is set: ``auto``
            for all orchestrators that are loaded, ``none``, or names such as ``prefect``, which
            are asked in this order.
        run_stores: Further stores, separated by blanks or as a list, in which hooks of
            orchestrators write how runs have ended; see `runstore.integrations.run_ended`.
        max_decoded: How many times its stored size an object may take in memory; 1,000 by
            default, and 100 where the writer is not trusted (``deny``; what is not signed
            under ``signed``). 1 GiB, or 32 MiB there, is always allowed.
        storage_options: Storage options by scheme, as a table ``[storage_options.s3]``: those
            of every store of that scheme, where the code or the URL gives no others. Nothing
            secret: that belongs into the environment of the client.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,  # as AWS does: an empty variable is none
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may be the signing key
    )

    url: Annotated[str, Field(min_length=1), AfterValidator(_not_blank)] | None = None
    namespace: Annotated[str, AfterValidator(check_namespace)] = "default"
    pickle: _Policy = "allow"
    durable: bool = False
    timeout: float = Field(default=60, gt=0, le=LONGEST_WAIT, allow_inf_nan=False)
    signing_key: SecretStr | None = None
    signing_keys_old: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    signing_scope: str | None = None
    contexts: Annotated[str, Field(min_length=1)] = "auto"
    run_stores: Annotated[tuple[Annotated[str, AfterValidator(_not_blank)], ...], NoDecode] = ()
    max_decoded: float | None = Field(None, ge=1, allow_inf_nan=False)
    storage_options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("timeout", "max_decoded", mode="before")
    @classmethod
    def _is_number(cls, value: object) -> object:
        if isinstance(value, bool):  # which pydantic takes as 0 or 1
            raise ValueError("it must be a number, not true or false")
        return value

    @field_validator("storage_options")
    @classmethod
    def _has_no_secrets(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for scheme, options in value.items():
            if secret := [name for name, one in options.items() if is_secret(name, one)]:
                raise ValueError(
                    f"{scheme}.{secret[0]} is, or has, a secret, which would show wherever "
                    "settings are shown: set it in the environment, as the client reads it"
                )
        return value

    @field_validator("signing_keys_old", "run_stores", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value

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
            *(InitSettingsSource(settings_cls, _known(*found)) for found in tables()),
        )


def read_settings() -> Settings:
    """Return what `runstore.settings.current_settings` returns."""
    settings, wrong = read_leniently()
    if wrong:
        raise SettingsError(
            f"runstore's settings are not understood: {'; '.join(wrong.values())}. `runstore "
            "config show` has all of them"
        )
    return settings


def read_leniently() -> tuple[Settings, dict[str, str]]:
    """Return the settings, with the default for each wrong value, and what is wrong, by name.

    Raises:
        SettingsError: As `runstore.settings.current_settings`, but for wrong values.
    """
    unknown = [name for name in variables_set() if name not in _variables()]
    if unknown:
        raise SettingsError(
            f"the environment variable {_strange(unknown, _variables())}. Variables that begin "
            f"with {_PREFIX} are settings of runstore; rename or unset any other"
        )
    try:
        return Settings(), {}
    except NotDecodedError as exc:
        raise SettingsError(
            f"runstore's settings are not understood: {_PREFIX}STORAGE_OPTIONS in the environment "
            "must be a JSON object"
        ) from exc
    except ValidationError as exc:
        wrong = wrong_values(exc.errors(), _POLICIES)
    # What is given here counts more than what is set, and a mapping that is no dict is not merged.
    given: dict[str, Any] = {
        name: Settings.model_fields[name].get_default(call_default_factory=True, validated_data={})
        for name in wrong
    }
    if "storage_options" in given:
        given["storage_options"] = MappingProxyType({})
    return Settings(**given), wrong


def _known(path: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in a file, if all of them are."""
    if unknown := set(found) - set(Settings.model_fields):
        raise SettingsError(f"{path}: {_strange(unknown, Settings.model_fields)}", path)
    return found


def _variables() -> set[str]:
    return {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}


def _strange(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return which names are no settings, and which settings were perhaps meant."""
    told = []
    for name in sorted(unknown):
        by_lower = {one.lower().removeprefix(_PREFIX.lower()): one for one in known}
        close = get_close_matches(name.lower().removeprefix(_PREFIX.lower()), by_lower, 1)
        told.append(f"{name!r}" + (f" (did you mean {by_lower[close[0]]!r}?)" if close else ""))
    return f"{', '.join(told)} is no setting: there are {', '.join(sorted(known))}"
