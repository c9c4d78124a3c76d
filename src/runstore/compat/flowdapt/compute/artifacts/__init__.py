"""Flowdapt's artifacts: named groups of files with metadata, in a namespace."""

from typing import Any

from runstore.compat.flowdapt.compute._places import ArtifactNotFoundError, namespace_view
from runstore.compat.flowdapt.compute.artifacts.interface import Artifact, ArtifactFile

__all__ = [
    "Artifact",
    "ArtifactFile",
    "ArtifactNotFoundError",
    "check_if_artifact_exists",
    "get_artifact",
    "list_artifacts",
    "new_artifact",
]


def new_artifact(
    name: str, namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> Artifact:
    """Make an artifact.

    Args:
        name: Letters, digits, ``_`` and ``-``.
        namespace: By default that of the current run.
        protocol, base_path, params: Of another store than the run's.

    Raises:
        FileExistsError: There is one of that name.
        ValueError: *name* cannot be one.
    """
    return Artifact.made(name, namespace_view(namespace, protocol, base_path, **params))


def get_artifact(
    name: str,
    namespace: str = "",
    protocol: str = "",
    base_path: str = "",
    *,
    create: bool = False,
    **params: Any,
) -> Artifact:
    """Return an artifact, with *create* a new one if there is none.

    Raises:
        ArtifactNotFoundError: There is none; it is a FileNotFoundError.
    """
    view = namespace_view(namespace, protocol, base_path, **params)
    try:
        return Artifact(name, view)
    except ArtifactNotFoundError:
        if not create:
            raise
    try:
        return Artifact.made(name, view)
    except FileExistsError:  # another worker has made it meanwhile
        return Artifact(name, view)


def list_artifacts(
    namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> list[Artifact]:
    """Return all artifacts of a namespace, sorted by name."""
    return Artifact.all_in(namespace_view(namespace, protocol, base_path, **params))


def check_if_artifact_exists(
    name: str, namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> bool:
    """Return whether there is an artifact of that name."""
    return Artifact.is_in(name, namespace_view(namespace, protocol, base_path, **params))
