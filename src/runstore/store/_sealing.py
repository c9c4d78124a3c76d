"""Making one object of parts: which writes of them are there, whether they join, and the seal."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from runstore import codecs
from runstore.arguments import shown
from runstore.containers import Header
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.file_types import raw_type
from runstore.keys import ARROW, FORMATS, PartPlace, Place, extension_of, key_of
from runstore.objects import (
    Found,
    ObjectInfo,
    PartGoneError,
    each_of,
    files_there,
    newest_of,
    part_place,
    read_seal,
    seal_header,
    write_seal,
)
from runstore.parts import (
    PartKey,
    check_part,
    new_write_id,
    part_file_start,
    part_in,
    part_order,
)
from runstore.seals import SEALED, Sealed, SealedPart

if TYPE_CHECKING:
    from runstore.store._objects import Objects

__all__ = [
    "check_takes_parts",
    "infos_of",
    "kind_of_seal",
    "new_part",
    "part_read",
    "seal_parts",
    "sealed_infos",
]


T = TypeVar("T")


def check_takes_parts(call: str, place: Place) -> None:
    """Raise InvalidRequestError if objects of this name are files of a format of its own."""
    extension = extension_of(place.name)
    if extension in FORMATS or raw_type(extension) is not None:
        raise InvalidRequestError(
            f"{call}: {place.name!r} is one .{extension} file, and a file has no parts: use a name "
            "without the extension",
            str(place),
        )


def new_part(place: Place, part: object, *, if_absent: bool, if_match: str | None) -> PartPlace:
    """Return where a new write of a part goes.

    Raises:
        InvalidNameError: *part* is no key of a part.
        InvalidRequestError: The name takes no parts, or there is a condition.
    """
    key = check_part("put", part)
    check_takes_parts("put", place)
    if if_absent or if_match is not None:
        raise InvalidRequestError(
            f"put {place}: part= takes neither if_absent nor if_match, as parts are never "
            "replaced: give them to seal()",
            str(place),
        )
    return PartPlace(*place, key, new_write_id())


def sealed_infos(place: Place, sealed: Sealed, header: Header) -> list[ObjectInfo]:
    """Describe the parts that a seal names, in order, from the seal alone."""
    return [
        ObjectInfo(
            place.name,
            place.scope,
            place.namespace,
            place.run,
            part.size,
            _written_at(part.write_id) or header.created_at,
            None,
            ARROW,
            workflow=header.workflow,
            stage=header.stage,
            python_type=header.type,
            pickled=header.pickle,
            rows=part.rows,
            columns=header.columns,
            digest=part.digest,
            part=part.part,
            write_id=part.write_id,
            _layout=sealed.layout or {},
        )
        for part in sealed.parts
    ]


def _written_at(write_id: str) -> datetime | None:
    """Return when a write began, from its write id; None if that does not say."""
    try:
        at = int(write_id[:12], 16) if len(write_id) == 28 else None
        return None if at is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    except (ValueError, OverflowError):
        return None


def infos_of(objects: "Objects", place: Place, found: Iterable[Found]) -> list[ObjectInfo]:
    """Describe parts by their footers, some at a time, in the order of their keys."""

    def info(one: Found) -> ObjectInfo:
        part = one.file.part
        if part is None:  # its key stands inside
            header = objects.header(one.entry.key)
            if header is None or header.part is None:
                ref = f"{objects.backend.url}/{one.entry.key}"
                raise CorruptObjectError(f"{ref} is no part of {place}", ref)
            part = part_in(header.part)
        at = PartPlace(*place, part, one.file.write_id)
        if key_of(at) != one.entry.key:
            ref = f"{objects.backend.url}/{one.entry.key}"
            raise CorruptObjectError(f"{ref} is not the part that its name says", ref)
        return objects.stat(at)

    return sorted(each_of(objects.backend, info, found), key=_order)


def _order(info: ObjectInfo) -> Any:
    assert info.part is not None
    return part_order(info.part)


def seal_parts(
    objects: "Objects",
    place: Place,
    wanted: Sequence[object] | None,
    *,
    metadata: dict[str, Any] | None = None,
    if_absent: bool = False,
    if_match: str | None = None,
    workflow: str | None = None,
    stage: str | None = None,
) -> ObjectInfo:
    """Make parts one object; see `PartVerbs.seal`."""
    files = files_there(objects.backend, place)
    if any(one.file.extension != ARROW for one in files):  # maybe of an older folder
        _check_no_folder(objects, place)
    infos = _chosen(objects, place, wanted, newest_of(files))
    layout = _common_layout(place, infos)
    first = infos[0]
    header = seal_header(
        place,
        layout["type"] if layout else first.python_type or "",
        rows=_sum(info.rows for info in infos),
        columns=first.columns,
        nbytes=_sum(info.nbytes for info in infos),
        pickled=any(info.pickled for info in infos),
        metadata=metadata,
        workflow=workflow,
        stage=stage,
    )
    sealed = Sealed("parts", tuple(map(_entry_of, infos)), layout or None)
    return write_seal(objects, place, sealed, header, if_absent=if_absent, if_match=if_match)


def _entry_of(info: ObjectInfo) -> SealedPart:
    assert info.part is not None
    assert info.write_id is not None
    assert info.digest is not None
    return SealedPart(info.part, info.write_id, info.digest, info.rows, info.size)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(filter(None, known))


def kind_of_seal(objects: "Objects", place: Place) -> str | None:
    """Return ``parts`` or ``folder`` for what is stored there; None for another object, or none.

    Only the end of its file is read. What is damaged is no reason to keep a new object away.

    Raises:
        StorageError: The place failed.
    """
    try:
        header = objects.header(key_of(place))
    except (ObjectNotFoundError, CorruptObjectError, UnsupportedFormatError):
        return None
    if header is None or header.codec != SEALED:
        return None
    return str(header.spec.get("kind", "parts"))


def _check_no_folder(objects: "Objects", place: Place) -> None:
    if kind_of_seal(objects, place) == "folder":
        raise InvalidRequestError(
            f"seal {place}: {place.name!r} is a folder, which would be lost: delete() it first, or "
            "put the parts under another name",
            str(place),
        )


def _chosen(
    objects: "Objects", place: Place, wanted: Sequence[object] | None, there: dict[str, Found]
) -> list[ObjectInfo]:
    """Describe the parts that are to be sealed, in order; all of them are there."""
    given: dict[str, ObjectInfo] = {}
    look: dict[str, PartKey | None] = {}
    if wanted is None:
        look = dict.fromkeys(there)
    for one in wanted or ():
        key = _part_of(place, one) if isinstance(one, ObjectInfo) else check_part("seal", one)
        start = part_file_start(key)
        if isinstance(one, ObjectInfo):
            if start in given and given[start].write_id != one.write_id:
                raise InvalidRequestError(
                    f"seal {place}: there are two writes of the part {key!r}: give the one that "
                    "counts",
                    str(place),
                )
            given[start] = one
        else:
            look[start] = key
    missing = [
        repr(key) for start, key in look.items() if start not in there and start not in given
    ]
    missing += _not_there(objects, given, there)
    if missing or not (given or look):
        raise _no_parts(objects, place, missing)
    found = [there[start] for start in look if start not in given]
    return sorted([*given.values(), *_described(objects, place, found)], key=_order)


def _described(objects: "Objects", place: Place, found: list[Found]) -> list[ObjectInfo]:
    """Describe parts: those of the seal that is there from it, the others by their footers."""
    known: dict[tuple[str, str], ObjectInfo] = {}
    if found:
        try:
            for info in sealed_infos(place, *read_seal(objects, place)):
                assert info.part is not None
                assert info.write_id is not None
                known[part_file_start(info.part), info.write_id] = info
        except (ObjectNotFoundError, InvalidRequestError):
            pass  # there is no seal so far
    new = [one for one in found if (one.file.start, one.file.write_id) not in known]
    old = [one for one in found if (one.file.start, one.file.write_id) in known]
    infos = infos_of(objects, place, new)
    return infos + [known[one.file.start, one.file.write_id] for one in old]


def _part_of(place: Place, info: ObjectInfo) -> PartKey:
    if info.part is None or info.write_id is None or info.digest is None or info.place != place:
        raise InvalidRequestError(
            f"seal {place}: {info.name!r} of {info.namespace}/{info.run} is no part of it: give "
            "what put(…, part=…) has returned for this name",
            str(place),
        )
    return info.part


def _not_there(
    objects: "Objects", given: dict[str, ObjectInfo], there: dict[str, Found]
) -> list[str]:
    """Return those of the given parts that are not there; not the newest writes are looked up."""
    gone = []
    for start, info in given.items():
        newest = there.get(start)
        if newest is not None and newest.file.write_id == info.write_id:
            continue
        assert info.part_place is not None
        try:
            objects.backend.head(key_of(info.part_place))
        except ObjectNotFoundError:
            gone.append(repr(info.part))
    return gone


def _no_parts(objects: "Objects", place: Place, missing: list[str]) -> ObjectNotFoundError:
    counted = "1 part is" if len(missing) == 1 else f"{len(missing):,} parts are"
    few = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    what = (
        f"{counted} missing: {few}"
        if missing
        else "no part of it is there: put(name, value, part=key) first"
    )
    return ObjectNotFoundError(f"{place} is not sealed ({objects.backend.url}): {what}", str(place))


def _common_layout(place: Place, infos: Sequence[ObjectInfo]) -> dict[str, Any]:
    """Return the layout that all parts have.

    Raises:
        UnsupportedValueError: They do not join as one value; the message says why.
    """
    first = infos[0]
    for info in infos[1:]:
        if not first._layout or not info._layout:
            odd = info if first._layout else first
            raise UnsupportedValueError(
                f"cannot seal {place}: part {odd.part!r} is a {odd.python_type}, and values of "
                "that type do not join. Put frames, tables or arrays, or read parts one by one: "
                "get(name, part=info) with what put() or parts(name, sealed=False) returned",
                str(place),
            )
        differs = codecs.difference(first._layout, info._layout)
        if differs is not None:
            raise UnsupportedValueError(
                f"cannot seal {place}: part {info.part!r} does not join part {first.part!r}: "
                f"{differs}. Put it again with the same columns and types, or leave it out: "
                "seal(name, keys)",
                str(place),
            )
    return first._layout


def part_read(
    objects: "Objects",
    place: Place,
    part: object,
    policy: PicklePolicy | None,
    read: Callable[[PartPlace, SealedPart], T],
) -> T:
    """Read one part: by its key what the seal names, or exactly the write that was described.

    Args:
        objects: Where.
        place: The object.
        part: The key, or a description of a write.
        policy: For the seal, as for the part.
        read: Reads a part that its seal describes so.

    Raises:
        ObjectNotFoundError: Nothing is sealed there, or it has no such part.
    """
    if isinstance(part, ObjectInfo):
        _part_of(place, part)
        assert part.part_place is not None
        return read(part.part_place, _entry_of(part))
    key = check_part("get", part)
    while True:
        sealed, header = read_seal(objects, place, pickle=policy)
        for one in sealed.parts:
            if one.part == key and type(one.part) is type(key):
                break
        else:
            raise ObjectNotFoundError(
                f"{place} has no part {shown(part)}; parts(name) lists its {len(sealed.parts):,}",
                str(place),
            )
        try:
            return read(part_place(place, sealed, one), one)
        except ObjectNotFoundError as exc:
            PartGoneError(exc).check(objects, place, header)
