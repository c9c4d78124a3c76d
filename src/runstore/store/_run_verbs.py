"""The verbs of a store on the records of runs."""

from abc import ABC, abstractmethod
from contextvars import Context
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, get_args

from runstore import runs
from runstore.arguments import (
    check_age,
    check_choice,
    check_flag,
    check_instance,
    check_text,
    unfit,
)
from runstore.context import RunState, StoreAddress, WorkflowRun
from runstore.errors import InvalidNameError, ObjectNotFoundError
from runstore.names import check_namespace, check_run
from runstore.objects import check_lease, current_lease, leased
from runstore.places import Backend
from runstore.store._objects import Objects
from runstore.store._shown import RunList

if TYPE_CHECKING:
    from runstore.runs import RunLook
    from runstore.store import StoreView

__all__ = ["RunVerbs"]


class RunVerbs(ABC):
    """The verbs of a store that read, write and remove runs as a whole."""

    address: StoreAddress

    @property
    @abstractmethod
    def _objects(self) -> Objects:
        """The objects of the store."""

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """What keeps the bytes."""

    @abstractmethod
    def at(self, *, namespace: str | None = None, run: str | None = None) -> "StoreView":
        """See `runstore.ObjectStore.at`."""

    @abstractmethod
    def namespaces(self) -> list[str]:
        """See `runstore.ObjectStore.namespaces`."""

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
        lease = current_lease()
        objects = self._objects if lease is None else leased(self._objects, lease)
        runs.write_run(objects.backend, run, new=new)

    def read_run(self, name: str, *, namespace: str) -> WorkflowRun:
        """Return the record of a run.

        Raises:
            ObjectNotFoundError: There is none.
            CorruptObjectError: It cannot be read.
            StorageError: The place failed.
        """
        check_text("read_run", "name", name, error=InvalidNameError)
        check_text("read_run", "namespace", namespace, error=InvalidNameError)
        return runs.read_run(self.backend, check_run(name), namespace)

    def cancel_run(self, name: str, *, namespace: str) -> None:
        """Ask a run that goes on to stop, wherever its process is; this does not wait for it.

        Within some seconds it can write nothing any more and ends with a `RunCancelledError`; its
        record then says ``failed`` and ``cancelled``. What it has stored stays. Code in a thread
        cannot be stopped: it goes on, and every write of it is refused.

        Args:
            name: The run.
            namespace: Where it is.

        Raises:
            ObjectNotFoundError: There is no record of it.
            InvalidRequestError: It does not go on, or cannot be asked, as in a store in memory.
            StorageError: The place failed.
        """
        check_text("cancel_run", "name", name, error=InvalidNameError)
        check_text("cancel_run", "namespace", namespace, error=InvalidNameError)
        check_lease()
        runs.cancel_run(self.backend, check_run(name), namespace)

    def delete_run(self, name: str, *, namespace: str, force: bool = False) -> None:
        """Remove every object of a run, then its record.

        Not all or nothing: if it stops half-way the record is still there, and so is
        what was not reached; call it again. Other runs and what the namespace's runs
        share stay as they are.

        Args:
            name: The run. Also one that is pinned.
            namespace: Where it is.
            force: Also a run that goes on. If this process executes it, it can write
                nothing from now on. Another process is asked to end it first, and that is
                waited for, some seconds; so nothing of the run is written any more when this
                returns. A process that does not answer for a minute counts as gone.

        Raises:
            RunActiveError: It goes on, without *force*; or it does not end when it is asked.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            ObjectNotFoundError: There is neither an object nor a record of it.
            BulkError: Some objects could not be removed; the record is kept.
            StorageError: The place failed.
        """
        check_text("delete_run", "name", name, error=InvalidNameError)
        check_text("delete_run", "namespace", namespace, error=InvalidNameError)
        check_flag("delete_run", "force", force)
        if (lease := current_lease()) is not None:
            lease.check()  # code of a given-up attempt deletes no runs either
        view = Context().run(partial(self.at, namespace=namespace, run=name))
        run = runs.ask_to_delete(self.backend, name, namespace, force=force)
        if run is not None and run.state == "finished":
            from runstore.runs import forget_latest

            forget_latest(self.backend, namespace, run.workflow, name)
        names = [info.name for info in view.list()]
        Context().run(view.delete_many, names, missing_ok=True)  # it may be the run of this code
        found = len(names) + runs.delete_unnamed(self.backend, namespace, name)
        runs.delete_marks(self.backend, namespace, [name])
        recorded = runs.delete_record(self.backend, name, namespace)
        if not recorded and not found:
            from runstore.runs import near_runs

            error = ObjectNotFoundError(
                f"no run {name!r} in namespace {namespace!r} ({self.address.url})",
                f"{namespace}/{name}",
            )
            error.look = partial(near_runs, self.backend, namespace, name)
            raise error

    def runs(
        self,
        namespace: str | None = None,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        since: "datetime | timedelta | str | float | None" = None,
        tag: str | None = None,
        limit: int | None = None,
        page: str | None = None,
    ) -> RunList:
        """Return the records of runs, newest first, in pages.

        A record that cannot be read, and a file that is no record, is left out with an
        `runstore.errors.UnreadableWarning` that names it. With a *limit* few more records are read
        than are returned, unless others have to be passed over.

        Args:
            namespace: Only of this one; by default of all.
            workflow: Only of this one.
            state: Only in this state, as seen from here: of runs that were killed it is ``lost``.
            since: Only runs that started at this time or later: a `datetime`, or how long ago:
                seconds, a `timedelta`, or text like ``12h``, ``30d``.
            tag: Only runs that have this tag.
            limit: How many at most, from 1; by default all.
            page: Where to go on: the attribute ``next`` of the page before. What starts meanwhile
                moves no run to another page.

        Returns:
            A list, whose attribute ``next`` is what to pass as *page* for those that follow; None
            if there are no more.

        Raises:
            InvalidNameError: *namespace* cannot be one.
            InvalidRequestError: Another argument is not understood.
            StorageError: The place failed, or refused every record.
        """
        check_text("runs", "namespace", namespace, optional=True, error=InvalidNameError)
        check_text("runs", "workflow", workflow, optional=True)
        check_choice("runs", "state", state, (*get_args(RunState), None))
        check_text("runs", "tag", tag, optional=True)
        check_text("runs", "page", page, optional=True)
        if limit is not None and (type(limit) is not int or not 1 <= limit < 1 << 62):
            raise unfit("runs", "limit", "a whole number from 1, or None", limit)
        first = _first_time(since)
        if namespace is not None:
            check_namespace(namespace)
        if (workflow, state, first, tag, limit, page) == (None,) * 6:
            return RunList(runs.list_runs(self.backend, namespace))
        from runstore.runs import page_of_runs

        names = self.namespaces() if namespace is None else [namespace]

        def wanted(run: "WorkflowRun | RunLook") -> bool:
            return workflow in (None, run.workflow) and state in (None, run.state)

        some = wanted if workflow is not None or state is not None else None
        found, following = page_of_runs(self.backend, names, some, first, limit, page, tag)
        return RunList(found, following)


def _first_time(since: object) -> datetime | None:
    """Return the time that the argument *since* of `runs` means."""
    if isinstance(since, datetime):
        return since if since.tzinfo else since.replace(tzinfo=UTC)
    age = check_age("runs", "since", since)
    return None if age is None else datetime.now(UTC) - timedelta(seconds=age)
