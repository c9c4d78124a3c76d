"""Calls on Dask: on an existing cluster, or on workers that are started for the run."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from runstore.context import Lease, revoke
from runstore.errors import ExecutorUnavailableError, InvalidRequestError, WorkflowError
from runstore.executors._base import check_count
from runstore.executors._cluster import Bundle, ClusterExecutor, Pending, not_unpickled
from runstore.executors._dask_outcomes import killed, landed, lost
from runstore.executors._dask_tasks import (
    lines_of,
    log_topic,
    note_of,
    on_worker,
    on_worker_all,
    report_of,
    result_of,
    running,
    stop,
    topic,
)
from runstore.executors._dask_workers import DaskWorkers
from runstore.executors._failures import timed_out, unpack
from runstore.executors._remote import FailedError, Noted, TaskSpec
from runstore.faults import is_own_fault

__all__ = ["DaskExecutor"]

_SCATTERED = 8 << 20  # bytes that are too many for the scheduler
_CONNECT = 10.0  # seconds for a scheduler to answer


class DaskExecutor(ClusterExecutor):
    """Runs calls as Dask tasks; results stay on the workers until they are fetched.

    A call takes one thread of a worker. If a worker dies, Dask runs its calls
    elsewhere, up to ``distributed.scheduler.allowed-failures`` times, and also again
    those whose results died with it and are still needed.

    Args:
        address: Of a scheduler, as ``tcp://host:8786``. Without it workers are started on
            this machine, and end with the executor.
        workers: How many worker processes are started; by default one per CPU.
        threads: How many threads each of them has.
        resources: What each of them offers, by name: ``gpus``, ``memory`` (bytes),
            or any other.
        dashboard: Whether the scheduler that is started has a dashboard; needs `bokeh`.
        import_path: Folders in which workers look for modules first.

    Raises:
        InvalidRequestError: The arguments contradict each other.
    """

    name = "dask"
    bundles = True

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        threads: int | None = None,
        resources: Mapping[str, float] | None = None,
        dashboard: bool | None = None,
        import_path: Sequence[str] = (),
    ) -> None:
        super().__init__(import_path)
        self._address = address
        own = {"workers": workers, "threads": threads, "resources": resources}
        own["dashboard"] = dashboard
        if address is not None and (given := [key for key in own if own[key] is not None]):
            raise InvalidRequestError(
                f"executor option {given[0]!r} is for workers that are started for the run, and "
                f"address={address!r} names a cluster that has its own: omit one of them"
            )
        check_count("workers", workers)
        check_count("threads", threads)
        self._workers = (
            DaskWorkers(
                workers or os.cpu_count() or 1,
                threads or 1,
                {_RESOURCES.get(key, key): value for key, value in (resources or {}).items()},
                dashboard=bool(dashboard),
            )
            if address is None
            else None
        )
        self._client: Any = None
        self._seceded: int | None = None  # the worker's thread that this runs in

    def __repr__(self) -> str:
        return f"DaskExecutor({self._address or 'own workers'})"

    @property
    def location(self) -> str | None:
        """The scheduler's address, and that of its dashboard if it has one."""
        if self._client is None:
            return None
        address = self._client.scheduler.address
        shown = self._address is not None or (self._workers is not None and self._workers.dashboard)
        return f"dask at {address}" + (
            f", dashboard {self._client.dashboard_link}" if shown else ""
        )

    def everywhere(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Call *function* in each worker process, unless they were started on this machine."""
        if self._workers is not None:
            return {}
        self._started("the run")
        found: dict[str, Any] = self._client.run(function, *args)
        return {f"worker {address}": value for address, value in found.items()}

    def _connect(self) -> None:
        import distributed

        address = self._workers.start() if self._workers is not None else self._address
        try:
            connect = partial(distributed.Client, set_as_default=False, name="runstore")
            try:
                client = connect(address, timeout=_CONNECT)
            except AssertionError:  # Dask's own, if a worker joins during its first message
                client = connect(address, timeout=_CONNECT)
        except (OSError, ValueError, ImportError) as exc:
            raise ExecutorUnavailableError(
                f"no Dask scheduler answers at {address!r} within {_CONNECT:g} s "
                f"({type(exc).__name__}: {exc}): check that it runs and the address, as in "
                "executor_options={'address': 'tcp://host:8786'}",
                str(address),
            ) from exc
        client.subscribe_topic(topic(self._owner), self._expired)
        client.subscribe_topic(
            log_topic(self._owner), lambda event: self._take_lines(lines_of(event))
        )
        self._client = client
        self._secede()
        if self._workers is not None:
            self._workers.wait(client)

    def _disconnect(self, *, kill: bool) -> None:
        if self._client is not None:
            if not kill:
                self._let_finish()
            client, self._client = self._client, None
            client.close()
            self._rejoin()
        if self._workers is not None:
            self._workers.stop(kill=kill)

    def _secede(self) -> None:
        """Free the worker's thread that this runs in, if it is one of the same cluster.

        A stage that runs a workflow on its own cluster would otherwise hold the thread that
        the workflow's stages wait for.
        """
        import distributed

        try:
            worker = distributed.get_worker()
        except ValueError:  # no worker's thread
            return
        if worker.scheduler.address == self._client.scheduler.address:
            distributed.secede()
            self._seceded = threading.get_ident()

    def _rejoin(self) -> None:
        import distributed

        if self._seceded == threading.get_ident():
            self._seceded = None
            distributed.rejoin()

    def _check(self, label: str, needs: Mapping[str, float]) -> None:
        wanted = _restrictions(needs)
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        offers = [dict(worker["resources"]) for worker in workers]
        if not wanted or not offers:  # workers may be on their way
            return
        if not any(all(offer.get(key, 0) >= wanted[key] for key in wanted) for offer in offers):
            shown = " ".join(f"{key}={value:g}" for key, value in wanted.items())
            raise InvalidRequestError(
                f"{label} needs {shown}, which no worker of Dask has (they have "
                f'{_offered(offers)}): start workers with --resources "{shown}", pass the executor '
                "option resources, or ask for less"
            )

    def _send(self, pending: Pending, spec: TaskSpec, refs: list[Any]) -> None:
        stage = re.sub(r"\W+", "_", spec.label.rpartition("stage ")[2]).strip("_") or "call"
        ref = pending.ref = self._client.submit(
            on_worker,
            spec,
            *refs,
            key=f"{stage}-{self._owner}-{spec.number}",
            pure=False,
            resources=_restrictions(pending.call.resources) or None,
        )
        note = None
        if pending.call.lease is not None:  # a stage's
            note = self._client.submit(note_of, ref, key=f"note-{ref.key}", pure=False, priority=10)
        ref.add_done_callback(partial(landed, pending, note))

    def _send_bundle(self, bundle: Bundle, spec: TaskSpec, refs: list[Any]) -> None:
        first = bundle.pending[0].call
        stage = re.sub(r"\W+", "_", first.label.rpartition("stage ")[2]).strip("_") or "call"
        ref = bundle.ref = self._client.submit(
            on_worker_all,
            spec,
            *refs,
            key=f"{stage}-{self._owner}-{spec.number}-{spec.count}",
            pure=False,
            resources=_restrictions(first.resources) or None,
        )
        report = self._client.submit(report_of, ref, key=f"report-{ref.key}", pure=False)
        report.add_done_callback(partial(self._reported, bundle))

    def _reported(self, bundle: Bundle, report: Any) -> None:
        """End the calls of a task that has ended; runs in a thread of the client."""
        ref, bundle.ref = bundle.ref, None
        if report.status == "finished":
            try:
                found = report.result()
            except Exception:  # noqa: BLE001 - it was lost just now, with its worker
                self._broken(bundle)
                return
            self._report(bundle, found, partial(self._one_of, ref))
        elif report.status == "error":
            self._broken(bundle)
        else:
            for one in bundle.pending:
                one.fail(lost(one.call.label))

    def _one_of(self, ref: Any, at: int) -> Any:
        """Return the handle of one result of several."""
        return self._client.submit(result_of, ref, at, key=f"{ref.key}-{at}", pure=False)

    def _keep(self, data: bytes, key: str) -> Any:
        if len(data) > _SCATTERED:
            return self._client.scatter([data], hash=False)[0]
        # A task, so that it is made again if its worker dies.
        return self._client.submit(bytes, data, key=f"shared-{self._owner}-{key}", pure=False)

    def _threads(self) -> int:
        return sum(self._client.nthreads().values()) or 1

    def _gather(self, refs: list[Any]) -> list[Any]:
        from distributed.scheduler import KilledWorker

        try:
            values: list[Any] = self._client.gather(refs)
        except FailedError as exc:  # it was lost with its worker, and could not be made again
            raise unpack(exc.failure, self._modules) from None
        except KilledWorker as exc:
            raise WorkflowError(killed("the call whose result was asked for")) from exc
        except Exception as exc:
            if is_own_fault(exc):
                raise
            if self._client.status == "running" and not isinstance(exc, (OSError, CancelledError)):
                raise not_unpickled(exc) from exc  # the unpickling of a user's value is its code
            raise ExecutorUnavailableError(
                f"a result could not be brought from Dask ({type(exc).__name__}: {exc}): the "
                "scheduler went away, or all workers that had it"
            ) from exc
        return [one.value if type(one) is Noted else one for one in values]

    def _revoke(self, pending: Sequence[Pending], *, kill: bool) -> None:
        refs = [one.ref for one in pending if one.ref is not None]
        if kill:
            bundles = {id(one.bundle): one.bundle for one in pending if one.bundle is not None}
            refs += [bundle.ref for bundle in bundles.values() if bundle.ref is not None]
        # What has ended needs no cancelling. Its note may be on its way here, and to forget that in
        # the scheduler makes it log an error.
        refs = [ref for ref in refs if ref.status == "pending"]
        client = self._client
        if client is None or not refs:
            return
        if not (kill and self._workers is not None):  # our own workers are about to be killed
            with self._may_be_gone():
                client.cancel(refs)
        if kill and self._workers is None:
            with self._may_be_gone():
                client.run(stop, self._owner)

    async def _expired(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Fail a call that ignored its timeout. Its worker may have been killed."""
        pending = self._open.get(event[1]["call"])
        if pending is None or pending.call.timeout is None:
            return
        ref = pending.ref
        after = (
            "its worker was killed" if event[1]["killed"] else "it cannot be stopped and goes on"
        )
        pending.fail(timed_out(pending.call.label, pending.call.timeout, after))
        await self._client.cancel([ref], asynchronous=True)

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """See `Executor.revoke`."""
        if self._client is not None and leases:
            with self._may_be_gone():
                self._client.run(revoke, [lease.key for lease in leases], reason)

    @contextlib.contextmanager
    def _may_be_gone(self) -> Iterator[None]:
        """Suppress what Dask raises if the scheduler, or the connection to it, has gone away."""
        client = self._client
        try:
            yield
        except (OSError, TimeoutError):
            pass
        except Exception as exc:  # any class, as RuntimeError and AttributeError
            gone = client.status != "running" or client.scheduler is None
            if not gone or is_own_fault(exc):
                raise

    def _let_finish(self) -> None:
        """Wait for calls that were given up while they ran and can still be stopped."""
        if self._workers is not None:
            return
        with self._may_be_gone():
            while any(self._client.run(running, self._owner).values()):
                time.sleep(0.05)


_RESOURCES = {"cpus": "CPU", "gpus": "GPU", "memory": "MEMORY"}
"""Our names for resources, as the documentation of Dask calls them."""


def _restrictions(needs: Mapping[str, float]) -> dict[str, float]:
    """Return the resources for Dask to count. One CPU is a thread, which it counts anyway."""
    return {
        _RESOURCES.get(key, key): value
        for key, value in needs.items()
        if value > 0 and (key != "cpus" or value > 1)
    }


def _offered(offers: list[dict[str, float]]) -> str:
    shown = {" ".join(f"{key}={value:g}" for key, value in offer.items()) for offer in offers}
    return "; ".join(sorted(shown - {""})) or "declared none"
