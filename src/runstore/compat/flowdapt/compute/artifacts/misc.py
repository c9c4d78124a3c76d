"""Hooks that keep a value as JSON or as a pickle in a file of an artifact."""

import json
from collections.abc import Callable
from typing import Any

from runstore import by_value
from runstore.compat.flowdapt.compute.artifacts.interface import Artifact
from runstore.errors import InvalidRequestError, UnsafePickleError

__all__ = [
    "check_kind",
    "json_from_artifact",
    "json_to_artifact",
    "loaded_pickle",
    "pickle_from_artifact",
    "pickle_to_artifact",
    "saved_pickle",
]


def json_to_artifact(name: str = "file") -> Callable[[Artifact, Any], None]:
    """Return a hook that saves JSON in the file ``<name>.json``."""

    def save(artifact: Artifact, value: Any) -> None:
        data = json.dumps(value).encode()
        artifact["value_type"] = "json"
        artifact.get_file(f"{name}.json", create=True).write(data)

    return save


def json_from_artifact(name: str = "file") -> Callable[[Artifact], Any]:
    """Return a hook that loads what `json_to_artifact` has saved."""

    def load(artifact: Artifact) -> Any:
        check_kind(artifact, "json")
        return json.loads(artifact.get_file(f"{name}.json").read())

    return load


def pickle_to_artifact(name: str = "file") -> Callable[[Artifact, Any], None]:
    """Return a hook that saves a pickle in the file ``<name>.pkl``."""

    def save(artifact: Artifact, value: Any) -> None:
        saved_pickle(artifact, f"{name}.pkl", value, "pickle")

    return save


def pickle_from_artifact(name: str = "file") -> Callable[[Artifact], Any]:
    """Return a hook that loads what `pickle_to_artifact` has saved."""

    def load(artifact: Artifact) -> Any:
        check_kind(artifact, "pickle")
        return loaded_pickle(artifact, f"{name}.pkl")

    return load


def saved_pickle(artifact: Artifact, filename: str, value: Any, kind: str) -> None:
    """Save a pickle in a file of an artifact.

    Raises:
        UnsafePickleError: The store's policy is ``deny`` or ``signed``.
    """
    _allow(artifact, "store")
    data = by_value.dumps(value)
    artifact["value_type"] = kind
    artifact.get_file(filename, create=True).write(data)


def loaded_pickle(artifact: Artifact, filename: str) -> Any:
    """Load a pickle from a file of an artifact; loading it can run any code.

    Raises:
        UnsafePickleError: The store's policy is ``deny`` or ``signed``.
    """
    _allow(artifact, "load")
    return by_value.loads(artifact.get_file(filename).read())


def check_kind(artifact: Artifact, kind: str) -> None:
    """Raise unless the artifact was saved as a value of that kind.

    Raises:
        InvalidRequestError: It was saved as another; the message names both.
    """
    found = artifact["value_type"]
    if found != kind:
        raise InvalidRequestError(
            f"{artifact!r} holds a value of type {found!r}, and this hook loads {kind!r}",
            artifact.path,
        )


def _allow(artifact: Artifact, doing: str) -> None:
    policy = artifact._view.store.address.pickle
    if policy in ("deny", "signed"):
        raise UnsafePickleError(
            f"cannot {doing} {artifact!r}: its file is a pickle without a signature, and the "
            f"store's policy is {policy!r}. Put the value itself, without a hook",
            artifact.path,
        )
