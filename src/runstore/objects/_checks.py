"""What every file passes before anything of it is used: the store's guard, place and version."""

import math
import os
from typing import TYPE_CHECKING

from runstore import containers
from runstore.buffers import Buffer
from runstore.containers import Guard, Header, Stored, Verify
from runstore.context import PicklePolicy
from runstore.errors import CorruptObjectError, SettingsError, UnsupportedFormatError
from runstore.keys import AnyPlace

if TYPE_CHECKING:
    from runstore.containers import StoredParquet

__all__ = ["check_place", "check_version", "guard_of", "open_object"]


def guard_of(policy: PicklePolicy, signed: bool = False) -> Guard:
    """Return the checks that files of a store have to pass.

    Args:
        policy: Its pickle policy: under ``allow`` and ``warn`` whoever writes may run code.
        signed: Whether the object's signature has been checked.
    """
    return _TRUSTING if signed or policy in ("allow", "warn") else _CAREFUL


def _max_decoded() -> float | None:
    text = os.environ.get("RUNSTORE_MAX_DECODED")
    if not text:  # an empty variable is none
        from runstore.settings import current_settings

        return current_settings().max_decoded
    try:
        multiple = float(text)
    except ValueError:
        multiple = math.nan
    if not 1 <= multiple < math.inf:
        raise SettingsError(f"RUNSTORE_MAX_DECODED must be a number from 1, not {text!r}")
    return multiple


_TRUSTING = Guard(trusted=True, multiple=_max_decoded)
_CAREFUL = Guard(trusted=False, multiple=_max_decoded)


def open_object(
    data: Buffer,
    ref: str,
    extension: str,
    guard: Guard,
    verify: Verify = "auto",
    *,
    mapped: bool = False,
) -> "Stored | StoredParquet":
    """Open the bytes of an Arrow or Parquet file; see `runstore.containers`."""
    if extension == "parquet":
        return containers.open_parquet(data, ref, verify=verify, guard=guard)
    return containers.open_arrow(data, ref, verify=verify, mapped=mapped, guard=guard)


def check_place(header: Header, place: AnyPlace) -> None:
    """Raise CorruptObjectError unless the object was stored for this place."""
    if header.place != place:
        raise CorruptObjectError(
            f"at {place} stands an object that was stored as {header.place}: files were swapped, "
            "moved or renamed outside runstore. Put it back, or use copy()",
            str(place),
        )


def check_version(ref: str, codec: str, version: int, readable: int) -> None:
    """Raise UnsupportedFormatError if a newer version of a codec has written an object.

    Args:
        ref: The object.
        codec: Its name.
        version: Which version of it wrote the object.
        readable: The latest that this runstore reads.
    """
    if version > readable:
        raise UnsupportedFormatError(
            f"{ref} was written by version {version} of the codec {codec!r}, this runstore "
            f"reads up to {readable}: upgrade runstore",
            ref,
        )
