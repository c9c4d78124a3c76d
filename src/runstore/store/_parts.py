"""The verbs for objects of parts: written side by side, sealed as one."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from runstore.arguments import check_flag, check_text, unfit
from runstore.errors import ObjectNotFoundError
from runstore.keys import Scope
from runstore.objects import ObjectInfo, missing, newest_parts, read_seal
from runstore.parts import PartKey, check_part, part_file_start
from runstore.store._metadata import own_metadata
from runstore.store._sealing import (
    check_takes_parts,
    infos_of,
    seal_parts,
    sealed_infos,
)
from runstore.store._target import Target, place_of

__all__ = ["PartVerbs"]


class PartVerbs(ABC):
    """The verbs for objects of parts, on whatever `_target` gives.

    Parts are put with ``put(name, value, part=key)``, by any number of workers at once, and read
    with ``get(name)`` or ``get(name, part=key)`` once they are sealed.
    """

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def seal(
        self,
        name: str,
        parts: Iterable[PartKey | ObjectInfo] | None = None,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Make the parts of *name* one object: from now on ``get(name)`` reads all of them.

        All or nothing: a reader sees the old object or the new one, and one who has begun to read
        the old one reads all of it. The seal names exact writes of parts: what is put later takes
        no part in the object before it is sealed again.

        Args:
            name: As the parts were put.
            parts: What ``put(…, part=…)`` has returned for exactly the parts to be sealed, or
                their keys, then the newest write of each. By default the newest write of every
                part that is there, those of an earlier seal included.
            scope: ``run`` or ``namespace``.
            metadata: A dict of JSON values, kept with the object.
            if_absent: Fail instead of replacing an object.
            if_match: Replace only the object of this ``ObjectInfo.version``.

        Returns:
            The object, as it is sealed.

        Raises:
            ObjectNotFoundError: No part is there, or one of *parts* is not.
            UnsupportedValueError: The parts do not join exactly as one value; it says why.
            InvalidRequestError: *parts* names something else, or *name* is a folder.
            ObjectExistsError: *if_absent* and the name is taken.
            PreconditionFailedError: *if_match* and the object is another by now.
            StorageError: The place failed; the old object is intact.
        """
        check_flag("seal", "if_absent", if_absent)
        check_text("seal", "if_match", if_match, optional=True)
        wanted = None if parts is None else _listed("seal", "parts", parts)
        target = self._target()
        place = place_of("seal", target, name, scope, None, None)
        check_takes_parts("seal", place)
        metadata = own_metadata(place, metadata, False)
        return seal_parts(
            target.writable(),
            place,
            wanted,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            workflow=target.workflow,
            stage=target.stage,
        )

    def parts(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        sealed: bool = True,
    ) -> "builtins.list[ObjectInfo]":
        """Describe the parts of an object, in the order of their keys.

        Keys are sorted like this: ints, then texts, then tuples, these item by item.

        Args:
            name: As the parts were put.
            scope, run, namespace: As for `get`.
            sealed: False gives the newest write of each part that is there, sealed or not; one
                more request each.

        Raises:
            ObjectNotFoundError: Nothing is sealed under *name*.
            InvalidRequestError: What is stored there is not made of parts.
            CorruptObjectError: The seal, or a part that is not sealed, is damaged.
            StorageError: The place failed.
        """
        check_flag("parts", "sealed", sealed)
        target = self._target()
        place = place_of("parts", target, name, scope, run, namespace)
        if not sealed:
            check_takes_parts("parts", place)
            found = newest_parts(target.objects.backend, place).values()
            return infos_of(target.objects, place, found)
        try:
            return sealed_infos(place, *read_seal(target.objects, place))
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc

    def pending(
        self, name: str, keys: Iterable[PartKey], *, scope: Scope = "run"
    ) -> "builtins.list[Any]":
        """Return those of *keys* for which no part of *name* is there yet, in order, each once.

        So a loop that is run again goes on where it stopped, whatever ended it:
        ``for key in object_store.pending("out", keys): object_store.put("out", f(key), part=key)``.
        One listing is read, and no part. Sealed parts are there, too; `delete` removes them all.

        Args:
            name: As the parts are put.
            keys: Texts, ints, or tuples of them.
            scope: ``run`` or ``namespace``.

        Raises:
            InvalidNameError: One of *keys* cannot be the key of a part.
            StorageError: The place failed.
        """
        wanted: dict[str, Any] = {}
        for key in _listed("pending", "keys", keys):
            wanted.setdefault(part_file_start(check_part("pending", key)), key)
        target = self._target()
        place = place_of("pending", target, name, scope, None, None)
        check_takes_parts("pending", place)
        there = newest_parts(target.objects.backend, place) if wanted else {}
        return [key for start, key in wanted.items() if start not in there]


def _listed(call: str, argument: str, value: object) -> "builtins.list[Any]":
    if isinstance(value, (str, bytes, bytearray, memoryview)) or not isinstance(value, Iterable):
        hint = "put a single one into a list" if isinstance(value, str) else ""
        raise unfit(call, argument, "an iterable of part keys", value, hint)
    return builtins.list(value)
