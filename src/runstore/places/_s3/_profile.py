"""The settings of a profile in the AWS configuration file; credentials are left to botocore."""

import configparser
import os
import shlex
from pathlib import Path

from runstore.errors import SettingsError

__all__ = ["named_profile", "profile_settings"]


def named_profile() -> str | None:
    """Return the profile that the environment names; None if it names none."""
    # botocore reads both, in this order.
    return os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE") or None


def profile_settings(profile: str | None, *, required: bool = True) -> dict[str, str]:
    """Return a profile's settings; those of the section ``s3`` as ``s3.<name>``.

    ``endpoint_url`` is that of the profile's ``services`` section for S3, if it has one.

    Args:
        profile: Its name; None for the default one, which need not exist.
        required: Whether a name that is in neither file is an error.

    Raises:
        SettingsError: A file cannot be read, or a required profile does not exist.
    """
    config = _path("AWS_CONFIG_FILE", "~/.aws/config")
    keys = _path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    parser, credentials = _parsed(config), _parsed(keys)
    name = profile or "default"
    section = next((s for s in parser.sections() if _profile_of(s) == name), None)
    if section is None:
        if required and profile is not None and profile not in credentials:
            raise SettingsError(
                f"there is no AWS profile {profile!r} in {config} or {keys}: correct profile= or "
                "AWS_PROFILE"
            )
        return {}
    found = {key: value for key, value in parser[section].items() if "\n" not in value}
    found |= {f"s3.{key}": value for key, value in _nested(parser[section].get("s3", "")).items()}
    services = f"services {found.get('services', '')}"
    nested = _nested(parser[services].get("s3", "")) if services in parser else {}
    if "endpoint_url" in nested:
        found["endpoint_url"] = nested["endpoint_url"]
    return found


def _path(variable: str, usual: str) -> Path:
    # Not Path.expanduser: that raises where there is no home.
    return Path(os.path.expanduser(os.environ.get(variable) or usual))  # noqa: PTH111


def _parsed(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        if path.exists():
            parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as exc:
        # What a parser says quotes lines of the file, and those may be secret.
        raise SettingsError(
            f"the AWS configuration file {path} cannot be read ({type(exc).__name__}): correct it, "
            "or name another by AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
        ) from None
    return parser


def _profile_of(section: str) -> str | None:
    """Return the profile that a section of the configuration file is for; None if for none."""
    if section == "default":
        return "default"
    try:
        kind, *names = shlex.split(section)
    except ValueError:
        return None
    return names[0] if kind == "profile" and len(names) == 1 else None


def _nested(text: str) -> dict[str, str]:
    """Return the settings of an indented block."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
