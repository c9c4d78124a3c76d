"""Where objects go: the store, its verbs, and what it says about what it keeps."""

import os
import secrets
from typing import Any

from runstore.arguments import check_flag, check_instance, check_seconds, check_text
from runstore.backends import Backend, open_backend, split_options
from runstore.context import (
    PicklePolicy,
    StoreAddress,
    WorkflowRun,
    absolute_url,
    default_address,
)
from runstore.context import get_run_context as _current_run
from runstore.errors import InvalidNameError, ObjectNotFoundError, SettingsError
from runstore.keys import scope_of
from runstore.names import check_namespace, check_run
from runstore.store._arguments import check_store
from runstore.store._info import ObjectInfo, human_size
from runstore.store._objects import Objects
from runstore.store._records import delete_record, list_runs, read_run, write_run
from runstore.store._target import Target
from runstore.store._verbs import Verbs

__all__ = ["ObjectInfo", "ObjectStore", "StoreView", "Target", "Verbs", "human_size"]


class ObjectStore(Verbs):
    """A place where objects are kept. Its verbs work in the current run.

    Nothing is opened or created before the first use. A store pickles as its
    address, so it can be sent to another process.

    Args:
        url: A path, ``file://…``, ``memory://name`` or ``s3://bucket/prefix``; by
            default ``RUNSTORE_URL``, else ``.runstore`` under the working directory.
            Made absolute here.
        engine: For S3: ``obstore`` or ``s3fs``; by default the first that is installed.
        pickle: What to do with values only pickle can hold: ``allow``; ``warn``;
            ``deny`` neither writes nor loads any; ``signed`` signs every object with
            ``RUNSTORE_SIGNING_KEY`` and loads only pickles so signed.
        durable: Wait for the disk on every put, so that objects survive a power cut;
            S3 always does its own.
        timeout: Seconds to wait for a remote place, retries included; a large object
            may take longer while parts of it keep arriving. At most a week.
        cache: Not yet.
        storage_options: For S3, fsspec's: ``endpoint_url``, ``profile``, ``key``,
            ``secret``, ``client_kwargs``… What is secret stays in this process: a
            worker takes its own from its environment.

    Raises:
        SettingsError: The URL or an option is not understood.
        MissingExtraError: What the place needs is not installed; with the pip line.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        engine: str | None = None,
        pickle: PicklePolicy | None = None,
        durable: bool | None = None,
        timeout: float | None = None,
        cache: str | None = None,
        **storage_options: Any,
    ) -> None:
        at = None if url is None else absolute_url(url)
        check_store(engine, pickle, durable, timeout)
        given = {"pickle": pickle, "durable": durable, "timeout": timeout}
        changes = {name: value for name, value in given.items() if value is not None}
        if at is None or len(changes) < len(given):
            base = default_address(at)
            address = base.model_copy(update=changes)
        else:
            address = StoreAddress(url=at, **changes)
        self._open(_checked(address, engine, cache, storage_options))

    @classmethod
    def from_address(cls, address: StoreAddress) -> "ObjectStore":
        """Open the store at *address*; the same object for the same address, within a process.

        Raises:
            SettingsError: The address is not understood.
        """
        check_instance(
            *("ObjectStore.from_address", "address", address, StoreAddress, "a StoreAddress"),
            error=SettingsError,
        )
        known = _opened.get(address.url, ())
        for opened, store in known:
            if opened is address or opened == address:
                return store
        store = cls.__new__(cls)
        store._open(address)
        _opened[address.url] = ((address, store), *known[: _OPENED_AT_MOST - 1])
        return store

    def _open(self, address: StoreAddress) -> None:
        self.address = address
        """Where this store is and how it behaves, without secrets."""
        backend = open_backend(
            address.url,
            durable=address.durable,
            options=address.options | _secrets.get(address.kept or "", {}),
            engine=address.engine,
            timeout=address.timeout,
        )
        self._objects = Objects(backend, address.pickle)

    @property
    def url(self) -> str:
        """Where this store is, absolute."""
        return self.address.url

    @property
    def backend(self) -> Backend:
        """What keeps the bytes."""
        return self._objects.backend

    def _target(self) -> Target:
        ctx = _current_run()
        stage = ctx.stage.name if ctx.stage is not None else None
        return Target(self._objects, ctx.namespace, ctx.run.name, ctx.run.workflow, stage)

    def at(self, *, namespace: str | None = None, run: str | None = None) -> "StoreView":
        """Give the same verbs on one scope, with no run context: for notebooks and dashboards.

        Args:
            namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
            run: The run; without one only ``scope="namespace"`` works.

        Raises:
            InvalidNameError: *namespace* or *run* cannot be one.
        """
        if namespace is None:
            from runstore.context import default_namespace

            namespace = default_namespace()
        check_text("at", "namespace", namespace, error=InvalidNameError)
        check_text("at", "run", run, optional=True, error=InvalidNameError)
        check_namespace(namespace)
        if run is not None:
            check_run(run)
        return StoreView(self, namespace, run)

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold anything, sorted."""
        return _scopes(self.backend.folders(""))

    def runs_with_objects(self, namespace: str) -> list[str]:
        """Return the runs of *namespace* that hold objects, recorded or not, sorted."""
        check_text("runs_with_objects", "namespace", namespace, error=InvalidNameError)
        return _scopes(self.backend.folders(f"{_folder(namespace)}/"))

    def write_run(self, run: WorkflowRun, *, new: bool = False) -> None:
        """Write a run's record, all or nothing.

        A result that would come back from JSON as another value, or is larger than 64 KiB,
        is replaced by its type and the reason. Tuples are kept as lists.

        Args:
            run: The record.
            new: Fail if there is one of that name.

        Raises:
            ObjectExistsError: *new* and there is one.
            StorageError: The place failed.
        """
        check_instance("write_run", "run", run, WorkflowRun, "a WorkflowRun")
        check_flag("write_run", "new", new)
        write_run(self.backend, run, new=new)

    def read_run(self, name: str, *, namespace: str) -> WorkflowRun:
        """Return the record of a run.

        Raises:
            ObjectNotFoundError: There is none.
            CorruptObjectError: It cannot be read.
            StorageError: The place failed.
        """
        check_text("read_run", "name", name, error=InvalidNameError)
        check_text("read_run", "namespace", namespace, error=InvalidNameError)
        return read_run(self.backend, check_run(name), namespace)

    def delete_run(self, name: str, *, namespace: str) -> None:
        """Remove every object of a run, then its record.

        Not all or nothing: if it stops half-way the record is still there, and so is
        what was not reached; call it again. Other runs and what the namespace's runs
        share stay as they are.

        Raises:
            ObjectNotFoundError: There is neither an object nor a record of it.
            BulkError: Some objects could not be removed; the record is kept.
            StorageError: The place failed.
        """
        check_text("delete_run", "name", name, error=InvalidNameError)
        check_text("delete_run", "namespace", namespace, error=InvalidNameError)
        view = self.at(namespace=namespace, run=name)
        names = [info.name for info in view.list()]
        view.delete_many(names, missing_ok=True)
        if not delete_record(self.backend, name, namespace) and not names:
            raise ObjectNotFoundError(
                f"no run {name!r} in namespace {namespace!r} ({self.url})", f"{namespace}/{name}"
            )

    def runs(self, namespace: str | None = None) -> list[WorkflowRun]:
        """Return the records of every run, newest first.

        A record that cannot be read, and a file that is no record, is left out with an
        `runstore.errors.UnreadableWarning` that names it.

        Args:
            namespace: Only of this one.

        Raises:
            StorageError: The place failed, or refused every record.
        """
        check_text("runs", "namespace", namespace, optional=True, error=InvalidNameError)
        return list_runs(self.backend, namespace)

    def sweep(self, older_than: float = 3600) -> int:
        """Remove what interrupted puts left behind, and say how many that were.

        What a living process is writing is never removed.

        Args:
            older_than: Seconds since anything was written to it.

        Raises:
            StorageError: The place failed.
        """
        check_seconds("sweep", "older_than", older_than, zero=True, most=_OLDEST)
        return self.backend.sweep(older_than)

    def __repr__(self) -> str:
        engine = getattr(self.backend, "engine", None)
        via = f" via {engine}" if engine else ""
        return f"ObjectStore({self.url!r}, {type(self.backend).__name__}{via})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore.from_address, (self.address,)


class StoreView(Verbs):
    """The verbs of a store on one namespace and run; what `ObjectStore.at` gives."""

    def __init__(self, store: ObjectStore, namespace: str, run: str | None) -> None:
        check_instance("StoreView", "store", store, ObjectStore, "an ObjectStore")
        check_text("StoreView", "namespace", namespace, error=InvalidNameError)
        check_text("StoreView", "run", run, optional=True, error=InvalidNameError)
        self.store = store
        self.namespace = namespace
        self.run = run

    def _target(self) -> Target:
        return Target(self.store._objects, self.namespace, self.run)

    def __repr__(self) -> str:
        return f"{self.store!r}.at(namespace={self.namespace!r}, run={self.run!r})"


_OLDEST = 100 * 365 * 86_400.0  # seconds; file systems and Python know no older times
_OPENED_AT_MOST = 8  # addresses of one URL, as with two engines; opening one is not cheap
_opened: dict[str, tuple[tuple[StoreAddress, ObjectStore], ...]] = {}

# Secret options by StoreAddress.kept. They never leave this process (or a fork of it), and
# stay while it lives: a context that names the store may outlive the store object.
_secrets: dict[str, dict[str, Any]] = {}


def _checked(
    address: StoreAddress, engine: str | None, cache: str | None, options: dict[str, Any]
) -> StoreAddress:
    if cache is not None:
        raise SettingsError(
            f"cache={cache!r}: this version of runstore keeps no cache; leave it away", address.url
        )
    if engine is not None:
        address = address.model_copy(update={"engine": engine})
    if not options:
        return address
    public, secret = split_options(address.url, options)
    if not secret:
        return address.model_copy(update={"options": public})
    kept = secrets.token_hex(16)
    _secrets[kept] = secret
    return address.model_copy(update={"options": public, "kept": kept})


def _folder(namespace: str) -> str:
    from runstore.keys import record_key

    return record_key(namespace, "").partition("/")[0]


def _scopes(folders: list[str]) -> list[str]:
    return sorted(filter(None, (scope_of(folder.rstrip("/")) for folder in folders)))
