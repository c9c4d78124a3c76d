"""Calls on Ray: on an existing cluster, or on one that is started for the run."""

import logging
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from importlib.util import find_spec
from typing import Any

from runstore import by_value
from runstore.context import Lease, Note
from runstore.errors import (
    ExecutorUnavailableError,
    InvalidRequestError,
    MissingExtraError,
    WorkflowError,
)
from runstore.executors._base import check_count
from runstore.executors._bundle import Report, perform_all
from runstore.executors._cluster import Bundle, ClusterExecutor, Pending, not_unpickled
from runstore.executors._failures import Failure, pack, timed_out, unpack
from runstore.executors._logs import sending
from runstore.executors._ray_connection import connect, disconnect
from runstore.executors._ray_logs import RayLogs, sink_for
from runstore.executors._remote import FailedError, TaskSpec, note_with, perform

__all__ = ["RayExecutor"]

_log = logging.getLogger("runstore.executors")


class RayExecutor(ClusterExecutor):
    """Runs calls as Ray tasks; results stay in Ray's object stores until they are fetched.

    A call takes one CPU of Ray unless its ``cpus`` say otherwise. If its worker dies, Ray
    runs it again, up to three times. If this process is connected to Ray already,
    that connection is used and left open.

    Args:
        address: Of a cluster, as ``host:6379``, or ``auto`` for the one of this machine.
            Without it a cluster is started on this machine, and ends with the executor.
        workers: How many CPUs the started cluster counts; by default all.
        resources: What else it offers, by name: ``gpus``, ``memory`` (bytes), or any other.
        dashboard: Whether it has a dashboard, which takes seconds to start; needs
            ``ray[default]``.
        import_path: Folders in which workers look for modules first.

    Raises:
        InvalidRequestError: The arguments contradict each other.
        MissingExtraError: The dashboard's packages are not installed.
    """

    name = "ray"
    bundles = True

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        resources: Mapping[str, float] | None = None,
        dashboard: bool | None = None,
        import_path: Sequence[str] = (),
    ) -> None:
        super().__init__(import_path)
        own = {"workers": workers, "resources": resources, "dashboard": dashboard}
        if address is not None and (given := [key for key in own if own[key] is not None]):
            raise InvalidRequestError(
                f"executor option {given[0]!r} is for a cluster that is started for the run, and "
                f"address={address!r} names one that exists: omit one of them"
            )
        check_count("workers", workers)
        if dashboard and find_spec("aiohttp_cors") is None:
            raise MissingExtraError(
                "executor option dashboard=True of 'ray' needs what Ray's own dashboard does: pip "
                "install 'ray[default]'",
                "ray",
            )
        self._address = address
        self._workers = workers or os.cpu_count() or 1
        self._resources = dict(resources or {})
        self._dashboard = bool(dashboard)
        self._ours = False
        self._about: Any = None
        self._remote: Any = None
        self._remote_all: Any = None
        self._remote_one: Any = None
        self._given_up: list[str] = []  # keys of leases
        self._logs: RayLogs | None = None

    def __repr__(self) -> str:
        return f"RayExecutor({self._address or 'own cluster'})"

    @property
    def location(self) -> str | None:
        """The cluster's address, and that of its dashboard if it has one."""
        if self._about is None:
            return None
        url = self._about.dashboard_url
        return f"ray at {self._about.address_info['gcs_address']}" + (
            f", dashboard http://{url}" if url else ""
        )

    def everywhere(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Call *function* on each node except that of this process."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._started("the run")
        here = ray.get_runtime_context().get_node_id()
        asked = {}
        for node in ray.nodes():
            if node["Alive"] and node["NodeID"] != here:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ray.remote(function).options(num_cpus=0, scheduling_strategy=there)
                asked[f"node {node['NodeManagerAddress']}"] = task.remote(*args)
        return dict(zip(asked, ray.get(list(asked.values())), strict=True))

    def close(self, *, kill: bool = False) -> None:
        """See `Executor.close`."""
        # At SIGTERM Ray sets an alarm that aborts this process in 3 seconds, before all is closed.
        if kill and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            signal.alarm(0)
        super().close(kill=kill)

    def _connect(self) -> None:
        own = {
            "num_cpus": self._workers,
            "num_gpus": self._resources.get("gpus"),
            "_memory": self._resources.get("memory"),
            "resources": _custom(self._resources),
            "include_dashboard": self._dashboard,
        }
        self._about, self._ours = connect(self._address, own)
        import ray

        self._remote = ray.remote(num_returns=2, max_retries=3)(_on_worker)
        self._remote_all = ray.remote(num_returns=2, max_retries=3)(_on_worker_all)
        self._remote_one = ray.remote(num_cpus=0, max_retries=3)(_result_of)
        _mark_run(self._owner)
        self._logs = RayLogs(self._owner, self._take_lines)

    def _disconnect(self, *, kill: bool) -> None:
        if self._logs is not None:
            self._logs.close()
            self._logs = None
        self._remote = self._remote_all = self._remote_one = None
        _unmark_run(self._owner)
        if self._ours:
            self._ours = False
            disconnect()

    def _check(self, label: str, needs: Mapping[str, float]) -> None:
        import ray

        wanted = {_RESOURCES.get(key, key): value for key, value in needs.items() if value > 0}
        offers = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(all(offer.get(key, 0) >= wanted[key] for key in wanted) for offer in offers):
            return
        shown = ", ".join(f"{value:g} {key}" for key, value in wanted.items())
        has = "; ".join(
            ", ".join(f"{value:g} {key}" for key, value in sorted(offer.items()) if ":" not in key)
            for offer in offers
        )
        message = f"{label} needs {shown}, which no node of Ray has (they have {has})"
        if self._address is not None:
            _log.warning("%s: it waits until one joins", message)  # clusters can grow
            return
        raise InvalidRequestError(
            f"{message}: pass executor option workers or resources, or ask for less"
        )

    def _send(self, pending: Pending, spec: TaskSpec, refs: list[Any]) -> None:
        options = _options(spec.label, pending.call.resources)
        status, pending.ref = self._remote.options(**options).remote(spec, *refs)
        status.future().add_done_callback(partial(_landed, pending))

    def _send_bundle(self, bundle: Bundle, spec: TaskSpec, refs: list[Any]) -> None:
        options = _options(spec.label, bundle.pending[0].call.resources)
        report, bundle.ref = self._remote_all.options(**options).remote(spec, *refs)
        report.future().add_done_callback(partial(self._reported, bundle))

    def _reported(self, bundle: Bundle, report: "Future[Report]") -> None:
        """End the calls of a task that has ended; runs in a thread of Ray."""
        ref, bundle.ref = bundle.ref, None
        if report.exception() is None:
            self._report(bundle, report.result(), partial(self._one_of, ref))
        else:
            self._broken(bundle)  # whatever it is, each call finds out for itself

    def _one_of(self, ref: Any, at: int) -> Any:
        """Return the handle of one result of several."""
        return self._remote_one.remote(ref, at)

    def _keep(self, data: bytes, key: str) -> Any:
        import ray

        return ray.put(data)

    def _threads(self) -> int:
        import ray

        return int(ray.cluster_resources().get("CPU", 1)) or 1

    def _gather(self, refs: list[Any]) -> list[Any]:
        import ray

        try:
            return _own(ray.get(refs))
        except ray.exceptions.RayError as exc:
            cause = getattr(exc, "client_exc", None)
            if isinstance(cause, Exception):  # raised here, by the unpickling of a user's value
                raise not_unpickled(cause) from cause
            raise WorkflowError(
                f"a result is lost with the node of Ray that had it: {exc}"
            ) from exc

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """See `Executor.revoke`."""
        import ray

        if leases and ray.is_initialized():
            with self._lock:
                self._given_up += [lease.key for lease in leases]
                _mark_run(self._owner, self._given_up)

    def _revoke(self, pending: Sequence[Pending], *, kill: bool) -> None:
        import ray

        refs = [one.ref for one in pending if one.ref is not None]
        if kill:
            bundles = {id(one.bundle): one.bundle for one in pending if one.bundle is not None}
            refs += [bundle.ref for bundle in bundles.values() if bundle.ref is not None]
        for ref in refs:
            if ray.is_initialized():
                ray.cancel(ref, force=kill)


_RESOURCES = {"cpus": "CPU", "gpus": "GPU"}


def _options(label: str, needs: Mapping[str, float]) -> dict[str, Any]:
    """Return the options of a task."""
    return {
        "name": label,
        "num_cpus": needs.get("cpus", 1),
        "num_gpus": needs.get("gpus"),
        "memory": needs.get("memory"),
        "resources": _custom(needs),
    }


def _custom(needs: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in needs.items() if key not in ("cpus", "gpus", "memory")}


def _own(values: list[Any]) -> list[Any]:
    """Copy values out of Ray's memory, which is read-only and ends with the connection."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = by_value.dumps(values, protocol=5, buffer_callback=buffers.append)
    copies: list[Any] = pickle.loads(  # noqa: S301 - pickled in the line before
        pickled, buffers=[bytearray(buffer.raw()) for buffer in buffers]
    )
    return copies


def _landed(pending: Pending, status: "Future[Failure | Note | None]") -> None:
    """End the future of a call that has ended; runs in a thread of Ray."""
    import ray.exceptions as known

    error = status.exception()
    if error is None:
        told = status.result()
        if isinstance(told, Failure):
            pending.noted(told.note)
            pending.fail(unpack(told, pending.modules))
        else:
            pending.noted(told)
            pending.succeed()
        return
    label = pending.call.label
    lost: WorkflowError
    if isinstance(error, (known.WorkerCrashedError, known.OutOfMemoryError)):
        lost = WorkflowError(
            f"{label} did not end: the Ray workers that ran it died, one after the other, which is "
            "what the system does when memory runs out; Ray's logs tell more"
        )
    elif isinstance(error, known.RayTaskError):
        lost = WorkflowError(
            f"{label} did not run on Ray: {type(error.cause).__name__}: {error.cause}"
        )
    else:
        lost = ExecutorUnavailableError(f"{label} was lost by Ray: {type(error).__name__}: {error}")
    lost.__cause__ = error
    pending.fail(lost)


# What follows runs on the workers.


def _on_worker(spec: TaskSpec, *values: Any) -> tuple[Failure | Note | None, Any]:
    """Make a call. Failure or note are small and are sent to the caller; the result stays."""
    key = f"runstore-{spec.owner}-{spec.number}"
    if spec.timeout is not None and _noted(key):
        return pack(timed_out(spec.label, spec.timeout, "its worker was killed")), None
    try:
        # Ray interrupts a cancelled call some time later, and nobody knows when that has happened.
        if spec.lease is not None and not spec.lease.watches:
            spec.lease.probe = partial(_over, spec.owner, spec.lease.key)
        with sending(sink_for(spec.owner)):
            result = perform(spec, values, partial(_give_up, key), told=False)
    except FailedError as exc:
        return exc.failure, None
    return note_with(spec.lease, result), result


def _on_worker_all(spec: TaskSpec, *values: Any) -> tuple[Report, list[Any] | None]:
    """Make several calls; large results stay."""

    def prepare(lease: Lease) -> None:
        if not lease.watches:
            lease.probe = partial(_over, spec.owner, lease.key)

    with sending(sink_for(spec.owner)):
        return perform_all(spec, values, prepare, told=False)


def _result_of(results: list[Any], at: int) -> Any:
    """Return one large result of several."""
    return results[at]


def _give_up(key: str) -> None:
    """Kill the worker of a call that ignored its timeout; Ray's next try finds the note."""
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(key, b"timeout")
    os._exit(1)


def _noted(key: str) -> bool:
    from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get

    if _internal_kv_get(key) is None:
        return False
    _internal_kv_del(key)
    return True


# The workers of a shared connection outlive the executor, and Ray cannot send a message to all of
# them. So a key in Ray's key-value store says that the run goes on and which calls were given up.
# Workers on the runner's own host read the sign of the run instead, which costs less.


def _mark_run(owner: str, given_up: Iterable[str] = ()) -> None:
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(f"runstore-{owner}", "\n".join(["goes on", *given_up]).encode())


def _unmark_run(owner: str) -> None:
    import ray
    from ray.experimental.internal_kv import _internal_kv_del

    if ray.is_initialized():
        _internal_kv_del(f"runstore-{owner}")


def _over(owner: str, key: str) -> str | None:
    from ray.experimental.internal_kv import _internal_kv_get

    noted = _internal_kv_get(f"runstore-{owner}")
    if noted is None:
        return "its run has ended"
    return "it was given up" if key in noted.decode().split("\n") else None
