"""SMB: what fsspec's filesystem does not do in one step, by smbclient, on which it stands.

Written from the documentation of smbclient, and not tried on a server.
"""

import errno
from collections.abc import Callable
from typing import Any

from runstore.places._fsspec._calls import Calls

__all__ = ["link_on_smb", "rename_on_smb"]


def rename_on_smb(calls: Calls, temporary: str, target: str) -> None:
    """Rename, in the place of what is there. fsspec's ``mv`` refuses if something is."""
    import smbclient

    _call(smbclient.replace, calls, temporary, target)


def link_on_smb(calls: Calls, temporary: str, target: str) -> None:
    """Rename to where nothing is, or raise FileExistsError."""
    import smbclient

    _call(smbclient.rename, calls, temporary, target)


def _call(rename: Callable[..., Any], calls: Calls, temporary: str, target: str) -> None:
    from fsspec.implementations.smb import _as_unc_path

    fs = calls.fs
    try:
        rename(_as_unc_path(fs.host, temporary), _as_unc_path(fs.host, target), port=fs._port)
    except OSError as exc:  # smbclient's own class, whatever the number
        if exc.errno == errno.ENOENT:
            raise FileNotFoundError(target) from exc
        if exc.errno == errno.EEXIST:
            raise FileExistsError(target) from exc
        raise
