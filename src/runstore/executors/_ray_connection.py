"""The connection to Ray, of which a process has one: opened, shared and closed."""

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runstore.errors import ExecutorUnavailableError, InvalidRequestError
from runstore.lifetime import ForkSafeLock, forget_at_fork
from runstore.scratch import new_folder

__all__ = ["connect", "disconnect"]


class _Connection:
    """The connection of this process, which its executors share. A forked child has none.

    Attributes:
        users: Executors that use a connection which runstore has opened.
        folder: Of the temporary files of a cluster that runstore has started.
        loopback: Whether Ray was imported for a cluster that listens on 127.0.0.1 only.
    """

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self.loopback = False
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        self.users, self.folder = 0, ""


_connection = _Connection()


def connect(address: str | None, own: Mapping[str, Any]) -> tuple[Any, bool]:
    """Connect to the cluster at *address*, or start one; or use the connection that exists.

    Args:
        address: None to start a cluster.
        own: Arguments of `ray.init` for a cluster that is started.

    Returns:
        Ray's description of the connection, and whether to call `disconnect`.

    Raises:
        ExecutorUnavailableError: It cannot be reached or started.
        InvalidRequestError: There is a connection, to another cluster.
    """
    with _connection.lock.held, _private() if address is None else contextlib.nullcontext():
        _connection.loopback |= address is None and "ray" not in sys.modules
        import ray

        if ray.is_initialized():
            about, ours = _joined(ray, address), _connection.users > 0
        else:
            about, ours = _started(ray, address, own), True
        _connection.users += ours
        return about, ours


def disconnect() -> None:
    """Close the connection, and end a cluster that was started, when the last user calls it."""
    import ray

    with _connection.lock.held:
        if not _connection.users:
            return  # a forked child: the parent closes it
        _connection.users -= 1
        if _connection.users == 0:
            ray.shutdown()
            _remove_folder()


def _remove_folder() -> None:
    folder, _connection.folder = _connection.folder, ""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _started(ray: Any, address: str | None, own: Mapping[str, Any]) -> Any:
    more: dict[str, Any] = {}
    if address is None:
        # Not below TMPDIR: the path of a socket must be short.
        _connection.folder = new_folder("rs-ray-", "/tmp")  # noqa: S108 - see above
        more = {"_temp_dir": _connection.folder, **own}
    try:
        return ray.init(address=address or "local", logging_level=logging.ERROR, **more)
    except BaseException as exc:
        ray.shutdown()  # of what it has started so far
        _remove_folder()
        if not isinstance(exc, Exception):  # Ray raises any class, also plain Exception
            raise
        if address is None:
            what = "no Ray cluster could be started on this machine"
            way = "free memory and processes, or use executor='local'"
        else:
            what = f"no Ray cluster answers at {address!r}"
            way = "check that it runs and the address, as in executor_options={'address': 'h:6379'}"
            if _connection.loopback:
                way += ", and use a new process: this one has had a Ray of its own"
        told = f"{what} ({type(exc).__name__}: {exc}): {way}"
        raise ExecutorUnavailableError(told, address) from exc


def _joined(ray: Any, address: str | None) -> Any:
    about = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR)
    connected = about.address_info["gcs_address"]
    if address not in (None, "auto", connected):
        raise InvalidRequestError(
            f"this process is connected to Ray at {connected} and cannot be at {address!r}, too: "
            "omit address=, or call ray.shutdown() first",
            address,
        )
    return about


@contextlib.contextmanager
def _private() -> Iterator[None]:
    """Start Ray so that it talks to no other machine, and finds modules as this process does."""
    path = [os.environ.get("PYTHONPATH", ""), *(entry or str(Path.cwd()) for entry in sys.path)]
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",  # reports to its makers
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as there, its servers bind 127.0.0.1
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # without it, a warning for everybody
    }
    missing = {key: text for key, text in wanted.items() if key not in os.environ}
    before = os.environ.get("PYTHONPATH")
    os.environ.update(missing, PYTHONPATH=os.pathsep.join(dict.fromkeys(filter(None, path))))
    try:
        yield
    finally:
        for key in missing:
            del os.environ[key]
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
