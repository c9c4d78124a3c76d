"""The guarantees of a place, as data that the store and people can read."""

from dataclasses import dataclass, fields
from typing import Literal

from runstore.displays import pairs

__all__ = ["AtomicPut", "Guarantees", "Versions"]

AtomicPut = Literal["native", "rename", "no"]
Versions = Literal["write", "content", "time", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What a place promises. A promise that is not made here is refused.

    Where None stands, the place has not been asked yet: `Backend.probe` asks it.

    Attributes:
        atomic_put: How a reader sees the old object or the new one and never a part:
            ``native`` by the place itself, ``rename`` by a hidden file that is renamed,
            ``no`` not at all: then puts are refused, unless ``allow_torn=True``.
        create: Whether of several puts with ``if_absent`` exactly one succeeds.
        compare_and_swap: Whether ``if_match`` replaces the version it names and no other.
        ranges: Whether part of an object is read without reading all of it.
        versions: What a version names: one ``write``; the ``content``, so that the same bytes
            written twice have one; the ``time`` and size, so that two writes within a tick of
            the place's clock may have one; ``none``: there are no versions.
        server_copy: Whether ``copy`` moves no bytes through this process.
        mapped: Whether ``get`` gives large objects without reading them.
        shared: Whether another process that opens the same URL sees the same objects.
    """

    atomic_put: AtomicPut | None
    create: bool | None
    compare_and_swap: bool | None
    ranges: bool
    versions: Versions
    server_copy: bool
    mapped: bool
    shared: bool

    def _repr_html_(self) -> str:
        return pairs(
            {field.name.replace("_", " "): _said(self, field.name) for field in fields(self)}
        )

    def __str__(self) -> str:
        """For people: only what is promised, not what is refused or unknown."""
        said = []
        if self.atomic_put is not None:
            said.append("torn puts" if self.atomic_put == "no" else f"{self.atomic_put} puts")
        if self.versions != "none":
            said.append(f"versions by {self.versions}")
        names = ("create", "compare_and_swap", "ranges", "server_copy", "mapped", "shared")
        return ", ".join(said + [n.replace("_", " ") for n in names if getattr(self, n)])


def _said(facts: Guarantees, name: str) -> str:
    value = getattr(facts, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not asked yet" if value is None else str(value)
