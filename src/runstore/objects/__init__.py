"""Stored objects as files: described, listed, copied, removed and read as bytes, without a value.

This is the layer below `runstore.store`. It knows keys, versions, conditions, headers, digests,
signatures and seals. It imports no codec: `make check` holds that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runstore.objects._checks import check_place, check_version, guard_of, open_object
from runstore.objects._digests import (
    digest_now,
    digests_in,
    digests_now,
    earlier_digest,
    value_digest,
)
from runstore.objects._file_reader import opened_to_read, pieces
from runstore.objects._file_writer import FileWriter, TextFileWriter
from runstore.objects._info import ObjectInfo, describe, describe_file, described_later
from runstore.objects._kinds import (
    CONTAINERS,
    check_whole_name,
    container_in,
    container_of,
    ends_as_container,
    is_plain,
)
from runstore.objects._leased import LeasedBackend, Permission, check_lease, current_lease, leased
from runstore.objects._local_files import (
    FileReading,
    Progress,
    check_encoding,
    check_path,
    check_target,
    copied_file,
    file_pieces,
    opened_file,
    opened_stored,
    temporary_folder,
    written_file,
)
from runstore.objects._missing import missing
from runstore.objects._objects import StoredObjects
from runstore.objects._one_file import check_one_file, file_of_folder, is_seal, made_of_parts
from runstore.objects._opening import (
    address_for,
    address_of_filesystem,
    backend_at,
    drop_credentials,
)
from runstore.objects._part_files import Found, files_there, newest_of, newest_parts
from runstore.objects._pinned import Pinned, pinned, read_ranges
from runstore.objects._sealed import (
    PartGoneError,
    check_sealed_file,
    check_sealed_part,
    each_of,
    not_sealed,
    part_place,
    parts_of,
    read_seal,
    seal_header,
    seal_in,
    write_seal,
)
from runstore.objects._signing import check_signature, signing_keys
from runstore.objects._traced import note_read, traced

if TYPE_CHECKING:
    from runstore.objects._delta import DeltaBackend
    from runstore.objects._overlay import Overlay
    from runstore.objects._sweeping import (
        PARTS_AGE,
        UNREADABLE_SEAL,
        object_of_parts,
        parts_by_object,
        sweep_parts,
        unnamed_of,
        unnamed_parts,
    )
    from runstore.objects._trees import Chosen, Symlinks, TreeFile, check_tree, files_below

__all__ = [
    "CONTAINERS",
    "PARTS_AGE",
    "UNREADABLE_SEAL",
    "Chosen",
    "DeltaBackend",
    "FileReading",
    "FileWriter",
    "Found",
    "LeasedBackend",
    "ObjectInfo",
    "Overlay",
    "PartGoneError",
    "Permission",
    "Pinned",
    "Progress",
    "StoredObjects",
    "Symlinks",
    "TextFileWriter",
    "TreeFile",
    "address_for",
    "address_of_filesystem",
    "backend_at",
    "check_encoding",
    "check_lease",
    "check_one_file",
    "check_path",
    "check_place",
    "check_sealed_file",
    "check_sealed_part",
    "check_signature",
    "check_target",
    "check_tree",
    "check_version",
    "check_whole_name",
    "container_in",
    "container_of",
    "copied_file",
    "current_lease",
    "describe",
    "describe_file",
    "described_later",
    "digest_now",
    "digests_in",
    "digests_now",
    "drop_credentials",
    "each_of",
    "earlier_digest",
    "ends_as_container",
    "file_of_folder",
    "file_pieces",
    "files_below",
    "files_there",
    "guard_of",
    "is_plain",
    "is_seal",
    "leased",
    "made_of_parts",
    "missing",
    "newest_of",
    "newest_parts",
    "not_sealed",
    "note_read",
    "object_of_parts",
    "open_object",
    "opened_file",
    "opened_stored",
    "opened_to_read",
    "part_place",
    "parts_by_object",
    "parts_of",
    "pieces",
    "pinned",
    "read_ranges",
    "read_seal",
    "seal_header",
    "seal_in",
    "signing_keys",
    "sweep_parts",
    "temporary_folder",
    "traced",
    "unnamed_of",
    "unnamed_parts",
    "value_digest",
    "write_seal",
    "written_file",
]

# Few stages need these: they are imported with the first use.
_LATER = {
    "DeltaBackend": "_delta",
    "Overlay": "_overlay",
    **dict.fromkeys(
        (
            *("PARTS_AGE", "UNREADABLE_SEAL", "object_of_parts", "parts_by_object"),
            *("sweep_parts", "unnamed_of", "unnamed_parts"),
        ),
        "_sweeping",
    ),
    **dict.fromkeys(("Chosen", "Symlinks", "TreeFile", "check_tree", "files_below"), "_trees"),
}


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.objects' has no attribute {name!r}")
        return getattr(import_module(f"runstore.objects.{_LATER[name]}"), name)
