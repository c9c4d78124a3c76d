"""What kinds of filesystems there are, and what each promises.

A dialect is what has to be known of a filesystem besides fsspec's own interface: whether it has
folders, what names a version, how a hidden file takes the place of an object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._sftp import cat_on_sftp, link_on_sftp, rename_on_sftp
from runstore.places._fsspec._smb import link_on_smb, rename_on_smb
from runstore.places._fsspec._steps import cat, link_locally, mv, mv_after_delete
from runstore.places._fsspec._webdav import cat_on_webdav, move_on_webdav
from runstore.places._guarantees import AtomicPut, Guarantees, Versions

__all__ = ["Dialect", "dialect_of", "modified_at", "table", "version_in"]

Info = Mapping[str, Any]
Cat = Callable[[Calls, str, int, int | None, int], bytes]
Rename = Callable[[Calls, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is known of a kind of filesystem.

    Attributes:
        name: The protocols it is for, as a person writes them.
        atomic_put: See `Guarantees`; None if it has to be tried.
        create: Whether creating is exclusive; None if it has to be tried.
        versions: What `version` gives.
        version: The fields of a file's info that name its version.
        md5: The field of a file's info that has the digest of its content, in base 64.
        flat: Whether it has no folders: a listing is one of all keys below a prefix.
        bucket: Whether the first part of a path has to be there before anything is written.
        streams: Whether a file that is written in pieces is invisible until it is complete.
        ranges: Whether part of a file is read without the rest.
        server_copy: Whether it copies whole files by itself, exactly.
        shared: Whether other processes see the same files.
        read_only: Whether nothing can be written.
        gap: Whether there is a moment, while an object is replaced, when nothing is there.
        cat: Reads a file, or what lies between two positions in it.
        rename: Puts a file in the place of another, in one step.
        link: Puts a file where nothing is, or raises FileExistsError, in one step.
    """

    name: str
    atomic_put: AtomicPut | None
    create: bool | None = False
    versions: Versions = "time"
    version: tuple[str, ...] = ("mtime", "modified", "last_modified", "created", "size")
    md5: str = ""
    flat: bool = False
    bucket: bool = False
    streams: bool = False
    ranges: bool = True
    server_copy: bool = False
    shared: bool = True
    read_only: bool = False
    gap: bool = False
    cat: Cat = cat
    rename: Rename = mv
    link: Rename | None = None

    @property
    def guarantees(self) -> Guarantees:
        """What is promised before anything was tried."""
        return Guarantees(
            atomic_put=self.atomic_put,
            create=self.create,
            compare_and_swap=False,
            ranges=self.ranges,
            versions=self.versions,
            server_copy=self.server_copy,
            mapped=False,
            shared=self.shared,
        )


_DIALECTS: dict[tuple[str, ...], Dialect] = {
    ("gs", "gcs"): Dialect(
        name="gs://, gcs:// (gcsfs)",
        atomic_put="native",
        create=True,
        versions="write",
        version=("generation",),
        md5="md5Hash",
        flat=True,
        bucket=True,
        streams=True,
        server_copy=True,
    ),
    ("abfs", "abfss", "az"): Dialect(
        name="abfs://, abfss://, az:// (adlfs)",
        atomic_put="native",
        create=True,
        versions="write",
        version=("etag",),
        flat=True,
        bucket=True,
        streams=True,
    ),
    ("s3", "s3a"): Dialect(
        name="a filesystem of s3fs with settings of its own",
        atomic_put="native",
        create=False,  # some servers ignore the condition; s3:// asks them
        versions="content",
        version=("ETag",),
        flat=True,
        bucket=True,
        streams=True,
        server_copy=True,
    ),
    ("memory",): Dialect(
        name="fsspec's MemoryFileSystem",
        atomic_put="native",
        create=True,
        version=("created", "size"),
        flat=True,
        shared=False,
    ),
    ("file", "local"): Dialect(
        name="fsspec's LocalFileSystem, where it is not a plain one; pyarrow's",
        atomic_put="rename",
        create=True,
        version=("ino", "mtime", "size"),
        link=link_locally,
    ),
    ("sftp", "ssh"): Dialect(
        name="sftp://, ssh:// (sshfs)",
        atomic_put="rename",
        create=None,
        version=("mtime", "size"),
        rename=rename_on_sftp,
        cat=cat_on_sftp,
        link=link_on_sftp,
    ),
    ("webdav", "dav"): Dialect(
        name="webdav://, dav:// (webdav4)",
        atomic_put="rename",
        version=("modified", "size"),
        cat=cat_on_webdav,
        rename=move_on_webdav,
        gap=True,
    ),
    ("hdfs", "arrow_hdfs"): Dialect(
        name="hdfs:// (pyarrow), untested",
        atomic_put="rename",
        version=("mtime", "size"),
        rename=mv_after_delete,
        gap=True,
    ),
    ("smb",): Dialect(
        name="smb:// (smbprotocol), untested",
        atomic_put="rename",
        create=None,
        version=("mtime", "size"),
        rename=rename_on_smb,
        link=link_on_smb,
    ),
    ("http", "https"): Dialect(
        name="http://, https://",
        atomic_put="no",
        versions="none",
        version=(),
        read_only=True,
    ),
    ("zip", "tar", "libarchive", "github", "git", "gist", "reference", "data", "jlab"): Dialect(
        name="archives and repositories: zip, tar, github, git…",
        atomic_put="no",
        versions="none",
        version=(),
        read_only=True,
    ),
}

UNKNOWN = Dialect(name="any other, once it was tried", atomic_put=None)


def dialect_of(fs: AbstractFileSystem | type[AbstractFileSystem]) -> Dialect:
    """Return what is known of a filesystem or its class."""
    known = fs.protocol
    protocols = {known} if isinstance(known, str) else set(known)
    kind = fs if isinstance(fs, type) else type(fs)
    if kind.__module__ == "fsspec.implementations.sftp":  # paramiko; it renames likewise
        return Dialect(name="paramiko", atomic_put="rename", version=("mtime", "size"))
    for names, dialect in _DIALECTS.items():
        if protocols & set(names):
            return dialect
    return UNKNOWN


def table() -> list[Dialect]:
    """Return all that is known, for the documentation."""
    return [*_DIALECTS.values(), UNKNOWN]


def version_in(dialect: Dialect, info: Info) -> str | None:
    """Return the version that a file's info names; None if there is none."""
    found = [info[name] for name in dialect.version if info.get(name) is not None]
    if not found:
        return None
    if dialect.versions in ("write", "content"):
        # Some releases give an ETag without its quotes; obstore's have them.
        tag = dialect.version[0].lower() == "etag"
        return '"{}"'.format(str(found[0]).strip('"')) if tag else str(found[0])
    return "-".join(map(_text, found))


def modified_at(info: Info) -> datetime:
    """Return when a file was written, UTC; long ago where that is not told."""
    for name in ("mtime", "modified", "last_modified", "LastModified", "updated", "created"):
        found = info.get(name)
        if isinstance(found, datetime):
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(found, (int, float)):
            return datetime.fromtimestamp(found, UTC)
        if isinstance(found, str):
            try:
                at = datetime.fromisoformat(found)
            except ValueError:
                continue
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC)


def _text(value: Any) -> str:
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return f"{seconds:.6f}" if isinstance(seconds, float) else str(seconds)
