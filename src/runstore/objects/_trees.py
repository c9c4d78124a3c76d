"""Local folders: which files of one are meant, and where files of a stored one may be written."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from runstore.arguments import texts, unfit
from runstore.errors import CorruptObjectError, InvalidRequestError
from runstore.parts import check_part

__all__ = ["Chosen", "Symlinks", "TreeFile", "check_tree", "files_below"]

Symlinks = Literal["refuse", "follow"]


class TreeFile(NamedTuple):
    """A file of a folder; or an empty folder in it.

    Attributes:
        path: Relative, with slashes; that of an empty folder ends with one.
        local: Where it is.
        mode: Its permissions.
        size: Bytes.
    """

    path: str
    local: Path
    mode: int
    size: int


class Chosen:
    """Which relative paths are meant.

    Args:
        call: The function, for messages.
        include: Patterns, one of which has to match; None for all.
        exclude: Patterns, none of which may match.

    Raises:
        InvalidRequestError: These are no patterns.
    """

    def __init__(self, call: str, include: object, exclude: object) -> None:
        self._wanted = _patterns(call, "include", include)
        self._unwanted = _patterns(call, "exclude", exclude) or []

    def __call__(self, path: str) -> bool:
        """Return whether a file, or an empty folder, is meant."""
        if self.leaves_out(path):
            return False
        path = path.removesuffix("/")
        return self._wanted is None or any(one.fullmatch(path) for one in self._wanted)

    def leaves_out(self, path: str) -> bool:
        """Return whether it is excluded, and of a folder all that is in it."""
        path = path.removesuffix("/")
        return any(one.fullmatch(path) for one in self._unwanted)


def _patterns(call: str, argument: str, value: object) -> "list[re.Pattern[str]] | None":
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Iterable):
        raise unfit(call, argument, "a pattern, several, or None", value)
    return [re.compile(_regex(text)) for text in texts(call, argument, value)]


def _regex(pattern: str) -> str:
    """Return the regular expression of a pattern, which also matches all below a folder."""
    text = pattern.strip("/")
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(
        parts.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", text)
    )
    return f"(?s:{anywhere}{regex}(?:/.*)?)"


def files_below(call: str, root: str, is_chosen: Chosen, symlinks: Symlinks) -> Iterator[TreeFile]:
    """Yield the files of a folder that are meant, and its empty folders, in no order.

    Raises:
        InvalidRequestError: There is no such folder, or there is something in it that cannot be
            stored: a link (unless it is followed), a device, a name that is not UTF-8.
    """
    top = Path(root)
    if not os.path.isdir(top):  # noqa: PTH112 - raises nothing
        what = "is no folder: use put_file for a file" if os.path.exists(top) else "is not there"  # noqa: PTH110 - raises nothing
        raise InvalidRequestError(f"{call}: {root!r} {what}", root)
    try:
        yield from _walk(call, top, "", is_chosen, symlinks == "follow", (os.path.realpath(top),))
    except OSError as exc:
        path = str(exc.filename or root)
        raise InvalidRequestError(f"{call}: cannot read {path!r}: {exc.strerror}", path) from exc


def _walk(
    call: str, top: Path, prefix: str, is_chosen: Chosen, follow: bool, above: tuple[str, ...]
) -> Iterator[TreeFile]:
    empty = True
    with os.scandir(top / prefix) as entries:
        for entry in entries:
            empty = False
            path = prefix + entry.name
            try:
                path.encode()
            except UnicodeEncodeError as exc:
                raise InvalidRequestError(
                    f"{call}: {path!a} is not UTF-8: rename it", path
                ) from exc
            if is_chosen.leaves_out(path):
                continue
            if entry.is_symlink() and not follow:
                if not is_chosen(path):
                    continue
                raise InvalidRequestError(
                    f"{call}: {path!r} is a symbolic link: store what it leads to with "
                    "symlinks='follow', or leave it out with exclude=",
                    path,
                )
            found = entry.stat()
            if stat.S_ISDIR(found.st_mode):
                real = os.path.realpath(entry.path)
                if real in above:
                    raise InvalidRequestError(
                        f"{call}: {path!r} is a link to a folder that it lies in: leave it out "
                        "with exclude=",
                        path,
                    )
                yield from _walk(call, top, f"{path}/", is_chosen, follow, (*above, real))
            elif is_chosen(path):
                if not stat.S_ISREG(found.st_mode):
                    raise InvalidRequestError(
                        f"{call}: {path!r} is no regular file: leave it out with exclude=", path
                    )
                check_part(f"{call}: {path!r}", path)
                yield TreeFile(path, top / path, found.st_mode & 0o777, found.st_size)
    if empty and prefix and is_chosen(prefix):
        mode = stat.S_IMODE((top / prefix).stat().st_mode)
        yield TreeFile(prefix, top / prefix, mode & 0o777, 0)


def check_tree(paths: Iterable[object], ref: str) -> None:
    """Check that files of these relative paths can be written below one folder, and nowhere else.

    Raises:
        CorruptObjectError: One leads elsewhere, or is a file and a folder.
    """
    files, folders = set[str](), set[str]()
    for path in paths:
        parts = path.removesuffix("/").split("/") if isinstance(path, str) else [""]
        if not isinstance(path, str) or "\0" in path or {"", ".", ".."} & set(parts):
            raise _no_tree(ref, path)
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
        (folders if path.endswith("/") else files).add("/".join(parts))
    if both := files & folders:
        raise _no_tree(ref, min(both))


def _no_tree(ref: str, path: object) -> CorruptObjectError:
    return CorruptObjectError(
        f"{ref} is no folder that put_dir has stored: it names the file {path!r}. Nothing was "
        "written",
        ref,
    )
