"""The object store: its verbs, and the description of what it keeps."""

import os
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runstore.arguments import check_instance, check_text, guide_verbs, shown
from runstore.context import (
    PicklePolicy,
    StoreAddress,
)
from runstore.context import peeked_run_context as _current_run
from runstore.errors import (
    InvalidNameError,
    SettingsError,
    StoreClosedError,
)
from runstore.keys import scope_of
from runstore.names import check_namespace, check_run
from runstore.objects import (
    FileWriter,
    ObjectInfo,
    Permission,
    Pinned,
    Progress,
    address_for,
    address_of_filesystem,
    backend_at,
    check_one_file,
    drop_credentials,
    pieces,
    pinned,
    traced,
    written_file,
)
from runstore.places import Backend, Guarantees
from runstore.store._addresses import Method, Reader
from runstore.store._arguments import check_filesystem, check_store
from runstore.store._files import FileMode
from runstore.store._inspecting import InspectingStore
from runstore.store._keeping import KeepingVerbs
from runstore.store._objects import Objects
from runstore.store._opened import opened, opened_over, remember, unremember
from runstore.store._put_bytes import put_bytes
from runstore.store._refs import ObjectRef
from runstore.store._run_verbs import RunVerbs
from runstore.store._shown import ObjectList, RunList, ShownStore, no_verb
from runstore.store._store_url import StoreUrl, UrlOfStore
from runstore.store._target import RAISE, Target
from runstore.store._verbs import Compression, Reading, Verbs
from runstore.store._view import StoreView

if TYPE_CHECKING:
    from runstore.lineage import Lineage, LineageEdge, LineageObject, LineageStage
    from runstore.objects import Symlinks
    from runstore.runs._marks import Marks
    from runstore.store._differences import (
        Change,
        ColumnDiff,
        ObjectChange,
        ObjectDiff,
        RunDiff,
        TableDiff,
    )
    from runstore.store._orchestrated import run_has_ended, stage_has_ended, tell_records
    from runstore.store._writer import Writer
    from runstore.upkeep import (
        Audit,
        Finding,
        GcPlan,
        GcReport,
        Orphans,
        PlannedRun,
        RunUsage,
        Verified,
        every_object,
        objects_and_parts,
        with_parts,
    )

__all__ = [
    "RAISE",
    "Audit",
    "Change",
    "ColumnDiff",
    "Compression",
    "FileMode",
    "FileWriter",
    "Finding",
    "GcPlan",
    "GcReport",
    "Lineage",
    "LineageEdge",
    "LineageObject",
    "LineageStage",
    "Marks",
    "Method",
    "ObjectChange",
    "ObjectDiff",
    "ObjectInfo",
    "ObjectList",
    "ObjectRef",
    "ObjectStore",
    "Orphans",
    "Permission",
    "Pinned",
    "PlannedRun",
    "Progress",
    "Reader",
    "Reading",
    "RunDiff",
    "RunList",
    "RunUsage",
    "StoreUrl",
    "StoreView",
    "Symlinks",
    "TableDiff",
    "Target",
    "UrlOfStore",
    "Verbs",
    "Verified",
    "Writer",
    "address_for",
    "check_one_file",
    "check_store",
    "every_object",
    "no_verb",
    "objects_and_parts",
    "opened_over",
    "pieces",
    "pinned",
    "put_bytes",
    "run_has_ended",
    "stage_has_ended",
    "tell_records",
    "with_parts",
    "written_file",
]

# Few processes need these: they are imported with the first use.
_LATER = {
    "Marks": "runs",
    "Symlinks": "objects",
    "Writer": "store._writer",
    **dict.fromkeys(
        ("Change", "ColumnDiff", "ObjectChange", "ObjectDiff", "RunDiff", "TableDiff"),
        "store._differences",
    ),
    **dict.fromkeys(
        (
            *("Audit", "Finding", "GcPlan", "GcReport", "Orphans", "PlannedRun", "RunUsage"),
            *("Verified", "every_object", "objects_and_parts", "with_parts"),
        ),
        "upkeep",
    ),
    **dict.fromkeys(("run_has_ended", "stage_has_ended", "tell_records"), "store._orchestrated"),
    **dict.fromkeys(("Lineage", "LineageEdge", "LineageObject", "LineageStage"), "lineage"),
}


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.store' has no attribute {name!r}")
        return getattr(import_module(f"runstore.{_LATER[name]}"), name)


class ObjectStore(ShownStore, InspectingStore, KeepingVerbs, RunVerbs, Verbs):
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
            now.is_open = False
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
            raise StoreClosedError(
                f"the store {self.address.url} was closed: open another", self.address.url
            )
        return self._now

    url: StoreUrl = UrlOfStore(Verbs.url, StoreUrl)  # type: ignore[assignment]
    """Where this store is, absolute; ``url(name)`` is the verb."""

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
        ctx, objects = _current_run(), self._objects
        run, lease = ctx.run, ctx.lease
        stage = None if ctx.stage is None else ctx.stage.name
        if lease is None and ctx.found:
            from runstore.store._orchestrated import observed_target  # few are in one

            return observed_target(objects, self.address, ctx)
        if lease is not None and lease.trace is not None:
            objects = traced(objects, lease)
        return Target(objects, ctx.namespace, run.name, run.workflow, stage, lease, self.address)

    def at(self, *, namespace: str | None = None, run: str | None = None) -> StoreView:
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

    def __repr__(self) -> str:
        if self._now is None:
            return f"ObjectStore({self.address.url!r}, closed)"
        engine = getattr(self.backend, "engine", None)
        via = f" via {engine}" if engine else ""
        kind, facts = type(self.backend).__name__, self.backend.guarantees
        return f"ObjectStore({self.address.url!r}, {kind}{via}: {facts})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore.from_address, (self.address,)


guide_verbs(ObjectStore)
guide_verbs(StoreView)


def _folder(namespace: str) -> str:
    from runstore.keys import record_key

    return record_key(namespace, "").partition("/")[0]


def _scopes(folders: list[str]) -> list[str]:
    return sorted(filter(None, (scope_of(folder.rstrip("/")) for folder in folders)))
