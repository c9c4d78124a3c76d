"""The object store: its verbs, and the description of what it keeps."""

import os
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Any, Self

from runstore.arguments import check_flag, check_instance, check_seconds, check_text, shown
from runstore.context import (
    Lease,
    PicklePolicy,
    StoreAddress,
    WorkflowRun,
    find_run_context,
)
from runstore.context import get_run_context as _current_run
from runstore.errors import (
    InvalidNameError,
    ObjectNotFoundError,
    SettingsError,
    StoreClosedError,
)
from runstore.keys import scope_of
from runstore.names import check_namespace, check_run
from runstore.places import Backend, Guarantees
from runstore.store._arguments import check_filesystem, check_store
from runstore.store._info import ObjectInfo, human_size
from runstore.store._leased import Permission, leased
from runstore.store._objects import Objects
from runstore.store._opening import (
    address_for,
    address_of_filesystem,
    backend_at,
    drop_credentials,
    opened,
    remember,
    unremember,
)
from runstore.store._raw import Pinned, pinned, put_bytes
from runstore.store._records import (
    ask_to_delete,
    delete_record,
    delete_unnamed,
    list_runs,
    read_run,
    write_run,
)
from runstore.store._runner import this_process
from runstore.store._target import RAISE, Target
from runstore.store._verbs import Compression, Reading, Verbs
from runstore.store._verify import Verified, verified

__all__ = [
    "RAISE",
    "Compression",
    "ObjectInfo",
    "ObjectStore",
    "Permission",
    "Pinned",
    "Reading",
    "StoreView",
    "Target",
    "Verbs",
    "Verified",
    "address_for",
    "check_store",
    "human_size",
    "pinned",
    "put_bytes",
    "this_process",
    "verified",
]


class ObjectStore(Verbs):
    """A place where objects are kept. Its verbs work in the current run.

    Nothing is opened or created before the first use. A store is a context manager: it is
    closed at the end of the block, or by `close`. It pickles as its address, so it can be
    sent to another process.

    Args:
        url: A path, ``file://…``, ``memory://name``, ``s3://bucket/prefix``, or any URL that
            fsspec knows, as ``gs://…``, ``sftp://…``; made absolute here. Or the address of a
            store, as ``ctx.store``. By default the store of the current run; outside a run
            ``RUNSTORE_URL``, else ``.runstore`` under the working directory.
        fs: A filesystem of fsspec, instead of *url*. A plain local one, and one of s3fs whose
            settings ``s3://`` knows, get the fast path; any other is used as it is.
        root: The path in *fs* below which objects are kept; with a bucket, where it has some.
        engine: For S3: ``obstore`` or ``s3fs``; by default the first that is installed.
        pickle: What to do with values only pickle can hold: ``allow``; ``warn``;
            ``deny`` neither writes nor loads any; ``signed`` signs every object with
            ``RUNSTORE_SIGNING_KEY`` and reads only what is so signed.
        durable: Wait for the disk on every put, so that objects survive a power cut;
            S3 always does its own.
        timeout: Seconds to wait for a remote place, retries included; a large object
            may take longer while parts of it keep arriving. At most a week.
        cache: Not yet.
        allow_torn: Let puts go on where a reader could see half of one; see docs/places.md.
        storage_options: fsspec's: for S3 ``endpoint_url``, ``profile``, ``key``,
            ``secret``, ``client_kwargs``… What is secret stays in this process: a
            worker takes its own from its environment.

    Raises:
        SettingsError: The URL or an option is not understood.
        StoreClosedError: The address names credentials that this process has given up.
        MissingExtraError: What the place needs is not installed; with the pip line.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | StoreAddress | None = None,
        *,
        fs: Any = None,
        root: str | None = None,
        engine: str | None = None,
        pickle: PicklePolicy | None = None,
        durable: bool | None = None,
        timeout: float | None = None,
        cache: str | None = None,
        allow_torn: bool | None = None,
        **storage_options: Any,
    ) -> None:
        check_store(engine, pickle, durable, timeout)
        check_filesystem(url, fs, root, allow_torn, storage_options)
        if cache is not None:
            raise SettingsError(
                f"cache={shown(cache)}: this version of runstore keeps no cache; omit it"
            )
        given = {"pickle": pickle, "durable": durable, "timeout": timeout}
        changes = {name: value for name, value in given.items() if value is not None}
        if allow_torn is not None:
            changes["allow_torn"] = allow_torn
        if fs is not None:
            address, self._brought_credentials = address_of_filesystem(
                fs, root or "", changes, engine
            )
        else:
            address, self._brought_credentials = address_for(url, changes, engine, storage_options)
        self._open(address)

    @classmethod
    def from_address(cls, address: StoreAddress) -> "ObjectStore":
        """Open the store at *address*, or return the one that was opened for it lately.

        Raises:
            SettingsError: The address is not understood.
            StoreClosedError: It names credentials that this process had and has given up.
        """
        check_instance(
            *("ObjectStore.from_address", "address", address, StoreAddress, "a StoreAddress"),
            error=SettingsError,
        )
        found = opened(address)
        if found is None:
            found = cls.__new__(cls)
            found._brought_credentials = False
            found._open(address, borrowed=True)
            remember(address, found)
        return found

    def _open(self, address: StoreAddress, *, borrowed: bool = False) -> None:
        self.address = address
        """Where this store is and how it behaves; without secrets."""
        self._now: Objects | None = Objects(backend_at(address, borrowed=borrowed), address.pickle)

    def close(self) -> None:
        """Release connections, threads, and the credentials it was made with.

        Other stores of the same configuration go on. What is stored stays, except for
        ``memory://name``: those objects end when every store that was opened under the name
        has been closed. It can be called again; every verb afterwards raises.
        """
        now, self._now = self._now, None
        if now is not None:
            unremember(self.address)
            if self._brought_credentials:
                drop_credentials(self.address)
            now.backend.close()

    def __enter__(self) -> Self:
        self._objects  # noqa: B018 - raises if it is closed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _objects(self) -> Objects:
        if self._now is None:
            raise StoreClosedError(f"the store {self.url} was closed: open another", self.url)
        return self._now

    @property
    def url(self) -> str:
        """Where this store is, absolute."""
        return self.address.url

    @property
    def backend(self) -> Backend:
        """What keeps the bytes."""
        return self._objects.backend

    @property
    def guarantees(self) -> Guarantees:
        """What the place promises, as facts; it is asked once for what is not known yet.

        Raises:
            StorageError: It could not be asked.
        """
        return self.backend.probe()

    def _target(self) -> Target:
        ctx = _current_run()
        stage = ctx.stage.name if ctx.stage is not None else None
        run = ctx.run
        return Target(self._objects, ctx.namespace, run.name, run.workflow, stage, ctx.lease)

    def at(self, *, namespace: str | None = None, run: str | None = None) -> "StoreView":
        """Return the verbs on one scope, without a run context: for notebooks and dashboards.

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
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        check_instance("write_run", "run", run, WorkflowRun, "a WorkflowRun")
        check_flag("write_run", "new", new)
        lease = _current_lease()
        objects = self._objects if lease is None else leased(self._objects, lease)
        write_run(objects.backend, run, new=new)

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

    def delete_run(self, name: str, *, namespace: str, force: bool = False) -> None:
        """Remove every object of a run, then its record.

        Not all or nothing: if it stops half-way the record is still there, and so is
        what was not reached; call it again. Other runs and what the namespace's runs
        share stay as they are.

        Args:
            name: The run.
            namespace: Where it is.
            force: Also a run that goes on. If this process executes it, it can write
                nothing from now on. Another process finds out when its next stage ends:
                the run fails there and its record is not written again, but what its
                stages put until then stays: delete the run once more.

        Raises:
            RunActiveError: Its record says that it is running, without *force*.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            ObjectNotFoundError: There is neither an object nor a record of it.
            BulkError: Some objects could not be removed; the record is kept.
            StorageError: The place failed.
        """
        check_text("delete_run", "name", name, error=InvalidNameError)
        check_text("delete_run", "namespace", namespace, error=InvalidNameError)
        check_flag("delete_run", "force", force)
        if (lease := _current_lease()) is not None:
            lease.check()  # code of a given-up attempt deletes no runs either
        view = Context().run(partial(self.at, namespace=namespace, run=name))
        ask_to_delete(self.backend, name, namespace, force=force)
        names = [info.name for info in view.list()]
        Context().run(view.delete_many, names, missing_ok=True)  # it may be the run of this code
        found = len(names) + delete_unnamed(self.backend, namespace, name)
        if not delete_record(self.backend, name, namespace) and not found:
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
        """Remove the temporary files of interrupted puts, and return how many there were.

        On a disk, a file that a living process is writing is never removed, whatever its age
        and host. On a disk without file locks nothing is removed, with an `UnreadableWarning`.

        Args:
            older_than: Seconds since anything was written to it.

        Raises:
            StorageError: The place failed.
        """
        check_seconds("sweep", "older_than", older_than, zero=True, most=_OLDEST)
        return self.backend.sweep(older_than)

    def __repr__(self) -> str:
        if self._now is None:
            return f"ObjectStore({self.url!r}, closed)"
        engine = getattr(self.backend, "engine", None)
        via = f" via {engine}" if engine else ""
        kind, facts = type(self.backend).__name__, self.backend.guarantees
        return f"ObjectStore({self.url!r}, {kind}{via}: {facts})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore.from_address, (self.address,)


class StoreView(Verbs):
    """The verbs of a store on one namespace and run; what `ObjectStore.at` returns.

    A view that a stage has made can write as long as the stage's attempt can, also in a thread
    or process without a context.
    """

    def __init__(self, store: ObjectStore, namespace: str, run: str | None) -> None:
        check_instance("StoreView", "store", store, ObjectStore, "an ObjectStore")
        check_text("StoreView", "namespace", namespace, error=InvalidNameError)
        check_text("StoreView", "run", run, optional=True, error=InvalidNameError)
        self.store = store
        self.namespace = namespace
        self.run = run
        self._lease = _current_lease()

    def _target(self) -> Target:
        # Code of a given-up attempt cannot write by any view, and code outside of any run cannot
        # write by a view that such an attempt has left.
        lease = _current_lease() or self._lease
        return Target(self.store._objects, self.namespace, self.run, lease=lease)

    def __reduce__(self) -> tuple[Any, ...]:
        state = None if self._lease is None else {"_lease": self._lease}
        return StoreView, (self.store, self.namespace, self.run), state

    def __repr__(self) -> str:
        return f"{self.store!r}.at(namespace={self.namespace!r}, run={self.run!r})"


def _current_lease() -> Lease | None:
    ctx = find_run_context()
    return None if ctx is None else ctx.lease


_OLDEST = 100 * 365 * 86_400.0  # seconds; file systems and Python know no older times


def _folder(namespace: str) -> str:
    from runstore.keys import record_key

    return record_key(namespace, "").partition("/")[0]


def _scopes(folders: list[str]) -> list[str]:
    return sorted(filter(None, (scope_of(folder.rstrip("/")) for folder in folders)))
