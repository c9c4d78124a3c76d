"""What travels through an orchestrator instead of a value: a few hundred bytes that name it."""

import json
import uuid
from typing import Any, NamedTuple

from runstore.context import find_run_context
from runstore.errors import CorruptObjectError
from runstore.keys import Scope
from runstore.store import ObjectRef, ObjectStore

__all__ = ["Carried", "is_small"]

_SHORT = 4096  # characters of text and bytes that may as well stay in the orchestrator
_FEW = 1000  # values in containers


class Carried(NamedTuple):
    """The name of a value that is in a store.

    Attributes:
        ref: The version of the object.
        store: The URL of the store.
    """

    ref: ObjectRef
    store: str

    @classmethod
    def of(cls, value: Any, orchestrator: str, url: str | None = None) -> "Carried":
        """Store a value and return its name.

        It is an object of the current run, ``<orchestrator>/<id>``; outside a run one that the
        namespace's runs share.

        Args:
            value: Any.
            orchestrator: Begins the name.
            url: The store; by default that of the run, else ``RUNSTORE_URL``, else ``.runstore``.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        ctx = find_run_context()
        name, scope = f"{orchestrator}/{uuid.uuid4()}", _scope(ctx is not None)
        store = ObjectStore(url)
        if ctx is None:
            view: Any = store.at()
        else:
            # The verbs of the store are those of the run: what is stored is in its record.
            view = store
        view.put(name, value, scope=scope)
        return cls(view.ref(name, scope=scope), str(store.url))

    def open(self, url: str | None = None) -> Any:
        """Return the value.

        Args:
            url: The store, if it is known by another URL here.

        Raises:
            ObjectNotFoundError: It was removed.
            PreconditionFailedError: It was replaced.
            RunStoreError: As `runstore.object_store.get`.
        """
        store = ObjectStore(url or self.store)
        view = store.at() if find_run_context() is None else store
        return view.get(self.ref)

    def as_json(self) -> str:
        """Return what `read` takes."""
        return json.dumps({"ref": str(self.ref), "store": self.store})

    @classmethod
    def read(cls, text: str | bytes, where: str) -> "Carried":
        """Return what `as_json` has written.

        Args:
            text: What it has returned.
            where: Where this comes from, for messages.

        Raises:
            CorruptObjectError: It is something else.
        """
        try:
            found = json.loads(text)
            return cls(ObjectRef(found["ref"]), str(found["store"]))
        except (ValueError, TypeError, KeyError) as exc:
            raise CorruptObjectError(f"this {where} names no object: {exc}") from exc


def _scope(in_run: bool) -> Scope:
    return "run" if in_run else "namespace"


def is_small(value: Any) -> bool:
    """Return whether a value is a few plain ones of Python, which need no store."""
    left = _FEW
    waiting = [value]
    while waiting:
        one = waiting.pop()
        left -= 1
        if left < 0:
            return False
        kind = type(one)
        if one is None or kind in (bool, float, complex):
            continue
        if kind is int:
            if one.bit_length() > 8 * _SHORT:
                return False
        elif kind in (str, bytes):
            if len(one) > _SHORT:
                return False
        elif isinstance(one, (list, tuple, set, frozenset, dict)):
            if len(one) > left:  # before it is copied
                return False
            waiting += one
            if isinstance(one, dict):
                waiting += one.values()
        else:
            return False
    return True
