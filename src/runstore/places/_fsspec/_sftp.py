"""SFTP: what sshfs does not do in one step, on the channels that it keeps."""

from typing import Any

from runstore.errors import StorageError
from runstore.places._fsspec._calls import Calls

__all__ = ["cat_on_sftp", "link_on_sftp", "rename_on_sftp"]


def cat_on_sftp(calls: Calls, path: str, start: int, end: int | None, size: int) -> bytes:
    """Read a file or a range of it; sshfs reads all of it whatever the range."""
    import asyncssh

    async def read() -> bytes:
        try:
            async with _channel(calls) as channel, channel.open(path, "rb") as file:
                length = -1 if end is None else end - start
                return bytes(await file.read(length, start))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as exc:
            raise FileNotFoundError(path) from exc

    found: bytes = calls.run(read(), size=size)
    return found


def rename_on_sftp(calls: Calls, temporary: str, target: str) -> None:
    """Rename as POSIX does. Without that extension sshfs would copy, for all to see."""
    import asyncssh

    async def rename() -> None:
        try:
            async with _channel(calls) as channel:
                await channel.posix_rename(temporary, target)
        except asyncssh.SFTPOpUnsupported as exc:
            raise StorageError(
                f"{target}: the SFTP server cannot replace a file in one step (it has no "
                "posix-rename@openssh.com), so a reader could find nothing, or half of an object. "
                "Use another server"
            ) from exc
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as exc:
            raise FileNotFoundError(target) from exc

    calls.run(rename())


def link_on_sftp(calls: Calls, temporary: str, target: str) -> None:
    """Link a file to a second name, where nothing has that name."""
    import asyncssh

    async def link() -> None:
        try:
            async with _channel(calls) as channel:
                await channel.link(temporary, target)
                await channel.unlink(temporary)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as exc:
            raise FileNotFoundError(target) from exc
        except asyncssh.SFTPFileAlreadyExists as exc:
            raise FileExistsError(target) from exc
        except asyncssh.SFTPFailure as exc:
            # Version 3 of the protocol, the usual one, has no code for what exists.
            async with _channel(calls) as channel:
                if await channel.lexists(target):
                    raise FileExistsError(target) from exc
            raise

    calls.run(link())


def _channel(calls: Calls) -> Any:
    return calls.fs._pool.get()  # sshfs has no call of its own for either
