"""The copies of what stages have logged, one text file for each stage that has logged anything."""

from runstore.buffers import flat
from runstore.errors import ObjectNotFoundError
from runstore.keys import LOGS, log_key, scope_folder, scope_of
from runstore.places import Backend, Entry, prune

__all__ = ["delete_logs", "listed_logs", "logged_runs", "read_log", "write_log"]


def write_log(backend: Backend, namespace: str, run: str, stage: str, text: str) -> None:
    """Write what a stage has logged, all or nothing."""
    backend.put(log_key(namespace, run, stage), [text.encode(errors="backslashreplace")])


def read_log(backend: Backend, namespace: str, run: str, stage: str) -> str:
    """Return what a stage has logged; nothing if it has logged nothing.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
        StorageError: The place failed.
    """
    try:
        data, _ = backend.get(log_key(namespace, run, stage))
    except ObjectNotFoundError:
        return ""
    return flat(data).tobytes().decode()


def listed_logs(backend: Backend, namespace: str, run: str) -> dict[str, Entry]:
    """Return the files of what the stages of a run have logged so far, by key, in some pages.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
        StorageError: The place failed.
    """
    return {entry.key: entry for entry in backend.list(log_key(namespace, run, ""))}


def logged_runs(backend: Backend, namespace: str) -> list[str]:
    """Return the runs of a namespace whose stages have logged anything, by a look at folders.

    Raises:
        StorageError: The place failed.
    """
    folders = backend.folders(f"{scope_folder(namespace, None).partition('/')[0]}/{LOGS}/")
    return list(filter(None, (scope_of(one.rstrip("/")) for one in folders)))


def delete_logs(backend: Backend, namespace: str, run: str) -> None:
    """Remove what the stages of a run have logged.

    Raises:
        StorageError: Something could not be removed.
    """
    folder = log_key(namespace, run, "")
    keys = [entry.key for entry in backend.list(folder)]
    for error in backend.delete_many(keys, missing_ok=True).values():
        raise error
    prune(backend, folder)
