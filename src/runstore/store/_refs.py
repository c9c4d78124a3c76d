"""References: a short text that names one version of an object, to pass through any engine."""

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import xxhash

from runstore.arguments import unfit
from runstore.buffers import flat
from runstore.containers import Verify
from runstore.context import PicklePolicy
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.keys import SHARED, Place, Scope, key_of
from runstore.objects import ObjectInfo, digest_now, digests_in, digests_now, missing
from runstore.store._objects import Objects
from runstore.store._target import Target, place_of

if TYPE_CHECKING:
    from runstore.store._filters import Filter

__all__ = [
    "ObjectRef",
    "RefVerbs",
    "check_referred",
    "get_referred",
    "referred",
]

_PREFIX = "runstore://"
_FORM = re.compile(rf"{_PREFIX}([^/]+)/([^/]+)/(.+)@([0-9a-f]{{32}})", re.DOTALL)


class ObjectRef(str):
    """The name of one version of an object: ``runstore://<namespace>/<run>/<name>@<digest>``.

    It is a text, so it goes through JSON, pickles, command lines and the arguments of any engine;
    `get` takes it, also as the plain text that JSON makes of it. It says neither where the store
    is nor how to get in. The digest is that of the value, so a value that is stored once more
    under the name has the same.

    Args:
        text: What another `ObjectRef` looked like.

    Raises:
        InvalidNameError: It is no reference.
    """

    namespace: str
    """The namespace."""
    run: str | None
    """The run; None for what the namespace's runs share."""
    name: str
    """The object's name."""
    digest: str
    """32 hex digits."""

    def __new__(cls, text: str) -> Self:
        match = _FORM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise unfit(
                "ObjectRef",
                "text",
                f"like {_PREFIX}<namespace>/<run>/<name>@<digest>",
                text,
                error=InvalidNameError,
            )
        self = super().__new__(cls, text)
        self.namespace, run, self.name, self.digest = match.groups()
        self.run = None if run == SHARED else run
        key_of(self.place)  # raises if it can be nobody's name
        return self

    @property
    def place(self) -> Place:
        """The full name of the object."""
        return Place(self.namespace, self.run, self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectRef, (str(self),)

    def __repr__(self) -> str:
        return f"ObjectRef({str(self)!r})"


class RefVerbs(ABC):
    """The verb that names one version of an object."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def ref(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> ObjectRef:
        """Return a short, frozen name of the version that is stored under *name* now.

        ``get(ref)`` returns that version, in any process that opens the store, or raises
        PreconditionFailedError once it was replaced by another value. The value is not loaded;
        of a plain file, which has no digest, all is read.

        Args:
            name: As it was put.
            scope, run, namespace: As for `get`.

        Raises:
            ObjectNotFoundError: Nothing is stored there.
            CorruptObjectError: What describes it is damaged.
            StorageError: The place failed.
        """
        target = self._target()
        place = place_of("ref", target, name, scope, run, namespace)
        try:
            digest = digest_now(target.objects, place)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc
        return ObjectRef(f"{_PREFIX}{place}@{digest}")


def referred(
    call: str, name: object, scope: Scope, run: object, namespace: str | None
) -> ObjectRef | None:
    """Return the reference that *name* is; None if it is the name of an object.

    Raises:
        InvalidNameError: It begins like a reference and is none.
        InvalidRequestError: It is one, and another argument names a place, too.
    """
    if not isinstance(name, str) or not name.startswith(_PREFIX):
        return None
    ref = name if isinstance(name, ObjectRef) else ObjectRef(name)
    if scope != "run" or run is not None or namespace is not None:
        raise InvalidRequestError(
            f"{call}: {name!r} names its namespace and run: omit scope=, run= and namespace=", name
        )
    return ref


def get_referred(
    objects: Objects,
    ref: ObjectRef,
    verify: Verify,
    columns: list[Any] | None,
    as_type: type | None,
    pickle: PicklePolicy | None,
    filters: "Filter | None" = None,
) -> tuple[Any, ObjectInfo]:
    """Return the value that a reference names, and its description; see `Verbs.get_with_info`.

    Raises:
        PreconditionFailedError: It was replaced.
    """
    value, entry, read = objects._get(ref.place, verify, columns, as_type, pickle, filters=filters)
    known = digests_in(objects, ref.place, flat(read), entry.size)
    _check(ref, known or (xxhash.xxh3_128_hexdigest(flat(read)),))
    return value, objects.described_by(ref.place, entry, read)


def check_referred(objects: Objects, ref: ObjectRef) -> None:
    """Raise PreconditionFailedError unless what a reference names is there now."""
    _check(ref, digests_now(objects, ref.place))


def _check(ref: ObjectRef, digests: tuple[str, ...]) -> None:
    if ref.digest not in digests:
        raise PreconditionFailedError(
            f"{ref.place} was replaced since it was referred to, so {ref} is gone: use its name "
            "for what is there now",
            str(ref.place),
        )
