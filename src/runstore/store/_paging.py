"""`iter`: the objects of a scope one after the other, sorted by name, in pages of the place.

A place lists by key, and keys are not quite sorted as names are: ``a-b`` is before ``a`` there,
as its key ``a-b.arrow`` is before ``a.arrow``. So an object is held back as long as one with an
earlier name may follow. Usually that is for a moment; where it is for a page, the one name that
all of it waits for is looked up.
"""

import builtins
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from heapq import heappop, heappush
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from runstore.arguments import check_flag, check_text
from runstore.errors import CorruptObjectError, ObjectNotFoundError, UnsupportedFormatError
from runstore.keys import Place, Scope, extension_of, key_beginning, key_of, scope_folder
from runstore.objects import ObjectInfo, describe
from runstore.store._objects import Objects
from runstore.store._target import Target, place_of

__all__ = ["PagingVerbs"]

_PAGE = 1000  # objects that are held back before a name is looked up for them


class PagingVerbs(ABC):
    """The verb for more objects than one wants to hold, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def iter(
        self,
        prefix: str = "",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        details: bool = False,
    ) -> Iterator[ObjectInfo]:
        """Describe the objects whose names begin with *prefix*, one after the other, by name.

        The same objects in the same order as of `list`, without all of them in memory: the
        place is asked for page after page, as the caller goes on. The arguments are checked
        now; the place is asked with the first object. Objects put or deleted meanwhile may or
        may not be seen.

        Args:
            prefix: Plain text; ``train`` matches ``train/x`` and ``training``.
            scope, run, namespace: As for `get`.
            details: Read what each object says about itself, too; one more request each.

        Returns:
            An iterator; it raises what `list` does.
        """
        check_text("iter", "prefix", prefix)
        check_flag("iter", "details", details)
        target = self._target()
        at = place_of("iter", target, "any", scope, run, namespace)
        common = len(scope_folder(at.namespace, at.run)), len(key_beginning(prefix))
        return _by_name(target.objects, at, prefix, details, common)


class _Wait(NamedTuple):
    """What may still follow before an object.

    Attributes:
        name: No name before this one follows.
        single: Whether this name is the only one that may follow out of turn.
    """

    name: str
    single: bool


class _Order:
    """Which names may follow in a listing by key.

    Args:
        common: How many characters all keys have in common.
        by_key: Whether the place sorts by key; some S3 servers sort by the parts of the key.
    """

    def __init__(self, common: int, by_key: bool) -> None:
        self._common = common
        self._special = _SPECIAL if by_key else _SPECIAL_BY_PARTS
        self._known: set[str] = set()

    def known(self, name: str) -> None:
        """Note that *name* does not follow."""
        self._known.add(name)

    def waits_for(self, key: str) -> _Wait | None:
        """Return what may still follow if *key* is the last one so far.

        None stands for later names alone.

        Two keys differ first in one character. The encoding keeps the order of letters, digits,
        ``_`` and ``/``. A name ends where ``.arrow`` begins, which is behind ``-`` and behind
        other dots: there the shorter name follows. Behind ``%`` anything may follow.
        """
        for found in self._special.finditer(key, self._common):
            at, sign = found.start(), found.group()
            if sign == "." and not key[at:] < _SUFFIX:
                continue
            name = unquote_to_bytes(key[:at]).decode(errors="ignore")
            if sign == "%" or sign == "/":
                return _Wait(name, single=False)
            if at > 0 and key[at - 1] != "/" and name not in self._known:
                return _Wait(name, single=True)
        self._known = {name for name in self._known if key.startswith(name)}
        return None


_SUFFIX = ".arrow"
_SPECIAL = re.compile(r"[-.%]")
_SPECIAL_BY_PARTS = re.compile(r"[-.%/]")


def _by_name(
    objects: Objects, at: Place, prefix: str, details: bool, common: tuple[int, int]
) -> Iterator[ObjectInfo]:
    held: builtins.list[tuple[str, ObjectInfo]] = []
    order = _Order(common[1], getattr(objects.backend, "sorted_by_key", True))
    early: set[str] = set()  # names that were looked up, and found, before their turn
    for info in objects.list(at.namespace, at.run, prefix, details=details):
        if info.name in early:
            continue
        heappush(held, (info.name, info))
        key = key_of(info.place)[common[0] :]
        wait = order.waits_for(key)
        while wait is not None and wait.single and len(held) > _PAGE:
            found = _looked_up(objects, at._replace(name=wait.name), details)
            if found is not None and found.name.startswith(prefix):
                heappush(held, (found.name, found))
                early.add(found.name)
            order.known(wait.name)
            wait = order.waits_for(key)
        until = info.name if wait is None else wait.name
        while held and held[0][0] <= until:
            yield heappop(held)[1]
    while held:
        yield heappop(held)[1]


def _looked_up(objects: Objects, place: Place, details: bool) -> ObjectInfo | None:
    """Describe one object as a listing does; None if it is not there."""
    try:
        if details:
            with suppress(CorruptObjectError, UnsupportedFormatError):
                return objects.stat(place)
        entry = objects.backend.head(key_of(place))
    except ObjectNotFoundError:
        return None
    return describe(place, entry, extension_of(place.name))
