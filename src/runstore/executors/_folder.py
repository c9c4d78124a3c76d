"""The state of a workflow's folder, by which long-lived workers see that a file was edited."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from runstore import beside

__all__ = ["beside_of", "state_of"]


def state_of(folder: Path) -> str:
    """Return a text that changes when a module in *folder* does."""
    seen = hashlib.sha256()
    for file in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
        with contextlib.suppress(FileNotFoundError):
            found = file.stat()
            seen.update(f"{file.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def beside_of(import_path: Sequence[str]) -> beside.Modules | None:
    """Return the modules in which classes of results and errors from workers are looked for."""
    return beside.modules_of(import_path[0]) if import_path else None
