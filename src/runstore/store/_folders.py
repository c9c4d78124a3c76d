"""The verbs for folders: many files, stored side by side and sealed as one object."""

import os
import secrets
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from runstore import objects as stored
from runstore.arguments import check_callable, check_choice, check_flag
from runstore.buffers import Buffer
from runstore.containers import Header
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    RunStoreError,
    StorageError,
)
from runstore.keys import PartPlace, Place, Scope, is_shortened, key_of, parts_folder
from runstore.objects import (
    ObjectInfo,
    PartGoneError,
    Progress,
    check_path,
    each_of,
    file_pieces,
    missing,
    opened_file,
    opened_stored,
    part_place,
    pieces,
    pinned,
    read_seal,
    seal_header,
    write_seal,
    written_file,
)
from runstore.parts import new_write_id, part_order
from runstore.seals import Sealed, SealedPart
from runstore.steps import both, reporting
from runstore.store._files import local_path
from runstore.store._metadata import own_metadata
from runstore.store._objects import Objects
from runstore.store._sealing import check_takes_parts, kind_of_seal
from runstore.store._target import Target, place_of

__all__ = ["FolderVerbs"]

_FOLDER = "folder"


class FolderVerbs(ABC):
    """The verbs for folders, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def put_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        symlinks: "stored.Symlinks" = "refuse",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store the files of a local folder, byte for byte, as one object.

        All or nothing: a reader sees the old object or all files of the new one. Files are stored
        some at a time, each read piece by piece. Their relative paths and permissions are kept,
        and empty folders; owners and times are not.

        Args:
            name: As for `put`; it must not end in the extension of a file.
            path: The folder.
            scope: ``run`` or ``namespace``.
            include: Patterns; only files are stored that one of them matches.
            exclude: Patterns; files that one of them matches are not stored. ``*`` and ``?`` match
                within a name, ``**`` across folders. A pattern without a slash (``*.tmp``,
                ``.git``) matches at any depth, one with a slash from the top. What matches a
                folder matches all that is in it.
            symlinks: ``refuse`` a symbolic link, or ``follow`` it and store what it leads to.
            metadata: A dict of JSON values, kept with the object.
            if_absent: Fail instead of replacing.
            progress: Called now and then, in other threads, with the bytes that were read and
                those that there are.

        Returns:
            What was stored.

        Raises:
            InvalidRequestError: There is no such folder, or there is a link, a device or a name
                that is not UTF-8 in it; or *name* is an object of parts.
            UnsupportedValueError: A file was changed meanwhile.
            ObjectExistsError: *if_absent* and the name is taken.
            StorageError: The place failed; the old object is intact.
        """
        check_flag("put_dir", "if_absent", if_absent)
        check_choice("put_dir", "symlinks", symlinks, ("refuse", "follow"))
        check_callable("put_dir", "progress", progress, optional=True)
        root, is_chosen = check_path("put_dir", path), stored.Chosen("put_dir", include, exclude)
        target = self._target()
        place = place_of("put_dir", target, name, scope, None, None)
        check_takes_parts("put_dir", place)
        metadata = own_metadata(place, metadata, False)
        if is_shortened(parts_folder(place)):
            raise InvalidNameError(
                f"put_dir: the name {name[:40]!r}… is too long for a folder: shorten it", name
            )
        files = sorted(stored.files_below("put_dir", root, is_chosen, symlinks), key=_order)
        objects = target.writable()
        if if_absent and objects.exists(place):
            raise ObjectExistsError(f"put_dir {place}: it is there already", str(place))
        if kind_of_seal(objects, place) == "parts":
            raise InvalidRequestError(
                f"put_dir {place}: {name!r} is an object of parts, which would be lost: delete() "
                "it first, or use another name",
                str(place),
            )
        size = sum(file.size for file in files)
        with reporting(f"storing {place}", size, "bytes") as report:
            parts = _stored(objects, place, files, _Told(both(progress, report), size))
        header = seal_header(
            place,
            _FOLDER,
            nbytes=sum(part.size for part in parts),
            metadata=metadata,
            workflow=target.workflow,
            stage=target.stage,
        )
        sealed = Sealed(_FOLDER, tuple(parts), None, "file")
        return write_seal(objects, place, sealed, header, if_absent=if_absent)

    def get_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Write the files of a stored folder to a new local one, which appears as a whole.

        Every file is checked against its digest. Nothing is written outside of the new folder,
        whatever the object says.

        Args:
            name: As it was put.
            path: The new folder: nothing is there yet, or an empty folder.
            scope, run, namespace: As for `get`.
            include, exclude: Only some of the files; see `put_dir`.
            progress: Called now and then, in other threads, with the bytes that were written and
                those that there are.

        Returns:
            The path of the folder.

        Raises:
            ObjectNotFoundError: Nothing is stored there.
            InvalidRequestError: It is no folder, or something is at *path*.
            CorruptObjectError: A file is damaged or missing, or leads out of the folder.
            StorageError: The place, or the local disk, failed.
        """
        check_callable("get_dir", "progress", progress, optional=True)
        text, is_chosen = check_path("get_dir", path), stored.Chosen("get_dir", include, exclude)
        target = self._target()
        place = place_of("get_dir", target, name, scope, run, namespace)
        goal = _new_folder(text)
        try:
            while True:
                sealed, header = _read_folder(target.objects, place)
                stored.check_tree((part.part for part in sealed.parts), str(place))
                wanted = [part for part in sealed.parts if is_chosen(str(part.part))]
                size = sum(part.size for part in wanted)
                try:
                    with reporting(f"reading {place}", size, "bytes") as report:
                        told = _Told(both(progress, report), size)
                        _written(target.objects, place, sealed, wanted, goal, told)
                except ObjectNotFoundError as exc:
                    PartGoneError(exc).check(target.objects, place, header)
                else:
                    return Path(text)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc


def _read_folder(objects: Objects, place: Place) -> tuple[Sealed, Header]:
    try:
        sealed, header = read_seal(objects, place)
        if sealed.kind == _FOLDER:
            return sealed, header
    except InvalidRequestError:
        pass  # it is another object
    raise InvalidRequestError(f"get_dir: {place} is no folder: read it with get(name)", str(place))


class _Told:
    """How far all files together are, told from any thread."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress, self._size, self._done = progress, size, 0
        self._lock = threading.Lock()

    def more(self, count: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += count
                self._progress(self._done, self._size)


def _order(file: "stored.TreeFile") -> Any:
    return part_order(file.path)


def _stored(
    objects: Objects, place: Place, files: "list[stored.TreeFile]", told: _Told
) -> list[SealedPart]:
    """Store each file as a part; if one fails, none is left."""
    write_id, begun = new_write_id(), list[str]()

    def put(file: "stored.TreeFile") -> SealedPart:
        at = PartPlace(*place, file.path, write_id, "file")
        begun.append(key_of(at))
        if file.path.endswith("/"):
            data: Iterator[Buffer] = iter(())
            return _put(objects, at, file, data, told)
        with opened_file(str(file.local)) as fd:
            return _put(objects, at, file, file_pieces(fd, str(at)), told)

    try:
        return each_of(objects.backend, put, files)
    except Exception:
        with suppress(RunStoreError):  # a sweep removes what is left
            objects.backend.delete_many(list(begun), missing_ok=True)
        raise


def _put(
    objects: Objects, at: PartPlace, file: "stored.TreeFile", data: Iterator[Buffer], told: _Told
) -> SealedPart:
    digest = xxhash.xxh3_128()

    def noted() -> Iterator[Buffer]:
        for piece in data:
            digest.update(piece)
            yield piece
            told.more(memoryview(piece).nbytes)

    entry = objects.backend.put(key_of(at), noted())
    more = {"mode": file.mode}
    return SealedPart(at.part, at.write_id, _text(digest), None, entry.size, more)


def _text(digest: "xxhash.xxh3_128") -> str:
    return f"xxh3_128:{digest.hexdigest()}"


def _new_folder(path: str) -> Path:
    """Return where a new folder goes; raise InvalidRequestError if something is there."""
    real = Path(os.path.realpath(path))
    try:
        free = not os.path.lexists(path) or (real.is_dir() and not any(real.iterdir()))
    except OSError as exc:
        raise InvalidRequestError(
            f"get_dir: cannot look at {path!r}: {exc.strerror}", path
        ) from exc
    if not free:
        raise InvalidRequestError(
            f"get_dir: {path!r} exists already: give the path of a new folder, or remove it", path
        )
    return real


def _written(
    objects: Objects,
    place: Place,
    sealed: Sealed,
    wanted: list[SealedPart],
    goal: Path,
    told: _Told,
) -> None:
    """Write files to a hidden folder beside *goal*, which is then renamed."""
    hidden = goal.with_name(f".{goal.name[:100]}.{secrets.token_hex(8)}.tmp")

    def write(part: SealedPart) -> None:
        path = hidden / str(part.part)
        mode = part.more.get("mode")
        mode = mode & 0o777 if isinstance(mode, int) else None
        if str(part.part).endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            at = part_place(place, sealed, part)
            written_file(path, _checked(objects, at, part, told), part.size, mode=mode)

    try:
        try:
            hidden.mkdir(parents=True)
            each_of(objects.backend, write, wanted)
            hidden.rename(goal)
        except OSError as exc:
            raise StorageError(
                f"cannot write {str(goal)!r}: {exc.strerror or exc}. Nothing is there", str(goal)
            ) from exc
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _checked(objects: Objects, at: PartPlace, part: SealedPart, told: _Told) -> Iterator[Buffer]:
    """Yield a stored file piece by piece; raise at its end if it is not what was sealed."""
    digest, done = xxhash.xxh3_128(), 0
    for piece in _pieces(objects, at):
        digest.update(piece)
        done += len(piece)
        yield piece
        told.more(len(piece))
    if (_text(digest), done) != (part.digest, part.size):
        raise CorruptObjectError(
            f"{at} is damaged: it does not fit the digest of its seal. Restore it from a copy, or "
            "run again the stage that made it",
            str(at),
        )


def _pieces(objects: Objects, at: PartPlace) -> Iterator[bytes]:
    stored = local_path(objects.backend, key_of(at))
    if stored is None:
        yield from pieces(pinned(objects.backend, at))
        return
    objects.backend.head(key_of(at))  # raises if it is not there, or is no regular file
    with opened_stored(stored) as file:
        yield from file_pieces(file.fileno(), str(at))
