"""What `doctor` finds, and what it finds of this machine: versions, settings, room on the disk."""

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from runstore import __version__
from runstore.cli._output import size
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    MissingExtraError,
    RunStoreError,
    SettingsError,
    StorageFullError,
)
from runstore.secret_names import shown_address

__all__ = [
    "Finding",
    "State",
    "fault",
    "on_disk",
    "settings",
    "versions",
]

State = Literal["ok", "warning", "fault", "unknown"]

_SHOWN = ("pyarrow", "numpy", "pandas", "polars", "obstore", "s3fs", "gcsfs", "adlfs", "fsspec")
_NEEDED = re.compile(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9.]*)")
_LITTLE, _ALMOST_NOTHING = 1 << 30, 1 << 20  # bytes


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        state: ``ok``; ``warning``, where something may hurt; ``fault``, where something does not
            work; ``unknown``, where an earlier fault kept us from looking.
        told: What was found.
        cure: What to do; empty if nothing has to be done.
    """

    check: str
    state: State
    told: str
    cure: str = ""


def fault(check: str, error: RunStoreError) -> Finding:
    """Return what is wrong, as the error says it, and apart from that what to do."""
    known = (cure for kind, cure in _CURES.items() if isinstance(error, kind))
    cure = error.cure or next(known, "")
    told = " ".join(str(error).split())
    return Finding(check, "fault", told.removesuffix(error.cure).rstrip(". "), cure)


_CURES: dict[type[RunStoreError], str] = {
    AccessDeniedError: "Let this user read and write there, or choose another place (RUNSTORE_URL)",
    StorageFullError: "Free some space, raise the quota, or choose another place (RUNSTORE_URL)",
    BucketNotFoundError: "Create it, or correct the URL of the store",
    BackendUnavailableError: "Look whether the server runs, and whether the URL is right",
    MissingExtraError: "Install what the message names",
    SettingsError: "Correct what the message names; `runstore config show` has every setting",
}


def versions() -> Iterator[Finding]:
    """Return the versions of what is installed; those below what is declared are a fault."""
    found = {name: version for name in _SHOWN if (version := _installed(name))}
    told = [f"runstore {__version__}", f"Python {platform.python_version()}"]
    told += [f"{name} {version}" for name, version in found.items()]
    yield Finding("versions", "ok", ", ".join(told))
    old = dict[str, tuple[str, str]]()
    for line in metadata.requires("runstore") or ():
        needed = _NEEDED.match(line)
        version = _installed(needed[1]) if needed else None
        if needed and version and _number(version) < _number(needed[2]):
            old.setdefault(needed[1], (version, needed[2]))
    for name, (version, lowest) in old.items():
        what = f"{name} {version} is older than {lowest}, the oldest that runstore works with"
        yield Finding("versions", "fault", what, f"pip install '{name}>={lowest}'")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def settings(store: str | None) -> Iterator[Finding]:
    """Return every setting that is not the default, and what it comes from.

    Raises:
        SettingsError: They are not understood.
    """
    from runstore.settings import origins

    known = {one.name: one for one in origins()}
    url = known["url"]
    if store is not None:
        where = f"{shown_address(store)}, given by --store"
    elif url.wrong:
        where = ""
    elif url.source == "default":
        where = f"{Path('.runstore').absolute()}, the default: no url is set"
    else:
        where = f"{url.value}, from {url.source}"
    if where:
        yield Finding("store", "ok", where)
    set_well = [one for one in known.values() if one.source != "default" and not one.wrong]
    told = [f"{one.name}={one.value} from {one.source}" for one in set_well if one.name != "url"]
    yield Finding("settings", "ok", "; ".join(told) or "all others are the defaults")
    for one in known.values():
        if one.wrong:
            yield Finding("settings", "fault", one.wrong, "Correct it; commands fail before that")
    if known["pickle"].value == "signed" and not known["signing_key"].value:
        yield Finding(
            "settings",
            "fault",
            "the pickle policy is 'signed', and there is no key to sign with",
            "Set RUNSTORE_SIGNING_KEY to a long random text, the same on every machine",
        )


def on_disk(root: Path) -> Iterator[Finding]:
    """Return how much room the disk has that a store is on."""
    try:
        there = next(path for path in (root, *root.parents) if path.exists())
    except OSError as exc:  # a folder above may not be entered
        yield Finding("folder", "warning", f"{root} cannot be looked at: {exc.strerror or exc}")
        return
    if there != root:
        told = f"{root} is not there yet: the first put makes it"
        yield Finding("folder", "ok", told)
    try:
        usage, inodes = shutil.disk_usage(there), os.statvfs(there)
    except OSError as exc:
        yield Finding("space", "warning", f"the free space is not known: {exc.strerror or exc}")
        return
    told = f"{size(usage.free)} of {size(usage.total)} are free"
    cure = _CURES[StorageFullError]
    if usage.free < _ALMOST_NOTHING:
        yield Finding("space", "fault", f"the disk is full: {told}", cure)
    elif inodes.f_files and not inodes.f_favail:
        yield Finding("space", "fault", "the disk has no room for another file (inodes)", cure)
    elif usage.free < min(_LITTLE, usage.total // 20):
        yield Finding("space", "warning", f"the disk is nearly full: {told}", cure)
    else:
        yield Finding("space", "ok", told)
