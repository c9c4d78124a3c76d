"""Flowdapt's object store: objects of a namespace, by key.

A value is stored as `runstore.object_store` stores it, with ``scope="namespace"``; with a hook
and the strategy ``artifact`` it is stored as an artifact, by the hook.
"""

import contextlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from runstore.compat.flowdapt.compute._places import namespace_view
from runstore.compat.flowdapt.compute.artifacts import (
    Artifact,
    ArtifactNotFoundError,
    check_if_artifact_exists,
    get_artifact,
)
from runstore.compat.flowdapt.compute.artifacts.interface import is_name
from runstore.errors import InvalidRequestError, ObjectNotFoundError

__all__ = ["Strategy", "delete", "exists", "get", "put"]

SaveHook = Callable[[Artifact, Any], Any]
LoadHook = Callable[[Artifact], Any]


class Strategy(StrEnum):
    """Where Flowdapt would keep a value. Here the store has all; ``artifact`` uses the hooks."""

    FALLBACK = "fallback"
    ARTIFACT = "artifact"
    CLUSTER_MEMORY = "cluster_memory"


def put(
    key: str,
    value: Any,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: Strategy | str | None = None,
    executor: str | None = None,
    save_artifact_hook: SaveHook | None = None,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> None:
    """Store *value* under *key* in the namespace.

    Args:
        key: Its name.
        value: What is stored.
        namespace: By default that of the current run.
        artifact_only: The same as the strategy ``artifact``.
        strategy: With ``artifact`` and a hook, the hook stores the value.
        executor, cluster_memory_params: Not used: there is no cluster memory beside the store.
        save_artifact_hook: Takes the artifact and the value, and writes files.
        artifact_params: As for `get_artifact`.

    Raises:
        RunStoreError: As `runstore.object_store.put`.
    """
    if _as_artifact(strategy, artifact_only) and save_artifact_hook is not None:
        artifact = get_artifact(key, namespace, create=True, **(artifact_params or {}))
        save_artifact_hook(artifact, value)
        return
    namespace_view(namespace, **(artifact_params or {})).put(key, value, scope="namespace")


def get(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: Strategy | str | None = None,
    executor: str | None = None,
    load_artifact_hook: LoadHook | None = None,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> Any:
    """Return the value under *key*; that of an artifact if there is no object, or by the hook.

    Raises:
        ObjectNotFoundError: There is neither; it is a KeyError and a FileNotFoundError.
        RunStoreError: As `runstore.object_store.get`.
    """
    params = artifact_params or {}
    if not _as_artifact(strategy, artifact_only) or load_artifact_hook is None:
        found = namespace_view(namespace, **params).get(key, default=_NONE, scope="namespace")
        if found is not _NONE:
            return found
    if not is_name(key):
        raise ArtifactNotFoundError(f"nothing is stored under {key!r}", key)
    artifact = get_artifact(key, namespace, **params)
    return (load_artifact_hook or _pickled)(artifact)


def delete(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: Strategy | str | None = None,
    executor: str | None = None,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> None:
    """Remove what is under *key*, object and artifact; nothing happens if there is neither."""
    _as_artifact(strategy, artifact_only)
    params = artifact_params or {}
    namespace_view(namespace, **params).delete(key, scope="namespace", missing_ok=True)
    if not is_name(key):
        return
    with contextlib.suppress(ObjectNotFoundError):
        get_artifact(key, namespace, **params).delete()


def exists(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: Strategy | str | None = None,
    executor: str | None = None,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> bool:
    """Return whether there is an object or an artifact under *key*."""
    _as_artifact(strategy, artifact_only)
    params = artifact_params or {}
    if namespace_view(namespace, **params).exists(key, scope="namespace"):
        return True
    return is_name(key) and check_if_artifact_exists(key, namespace, **params)


_NONE = object()


def _as_artifact(strategy: Strategy | str | None, artifact_only: bool) -> bool:
    try:
        return artifact_only or Strategy(strategy or "fallback") is Strategy.ARTIFACT
    except ValueError:
        names = ", ".join(repr(one.value) for one in Strategy)
        raise InvalidRequestError(f"strategy={strategy!r}: there are {names}") from None


def _pickled(artifact: Artifact) -> Any:
    """Load what Flowdapt's default hook has saved: a pickle."""
    from runstore.compat.flowdapt.compute.artifacts.misc import loaded_pickle

    return loaded_pickle(artifact, "object")
