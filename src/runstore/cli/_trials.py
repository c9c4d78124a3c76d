"""What `doctor` finds by using a place: whether it answers, what may be done there, how fast.

It writes objects of its own under a hidden name, and removes them.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runstore.buffers import flat
from runstore.cli._findings import Finding, fault
from runstore.cli._output import size
from runstore.errors import AccessDeniedError, RunStoreError, StorageFullError
from runstore.places import glimpse, prune
from runstore.texts import duration

if TYPE_CHECKING:
    from runstore.places import Backend
    from runstore.store import ObjectStore

__all__ = ["trials"]

_FOLDER = ".runstore-tmp/"  # hidden, and swept
_BODY = b"runstore doctor was here; this can be removed"
_PIECE = 4 << 20  # bytes that are moved to measure the speed
_SKEW, _TOO_MUCH = 5.0, 300.0  # seconds; from 15 minutes on S3 refuses every request
_AFTER = ("permissions", "clock", "conditional writes", "guarantees", "speed")
_NEEDS = (
    "s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and "
    "s3:ListMultipartUploadParts on the bucket and its objects"
)


def trials(store: "ObjectStore", *, speed: bool) -> Iterator[Finding]:
    """Use *store*, and tell what works.

    Args:
        store: What is tried.
        speed: Whether to move some megabytes, too.
    """
    backend = store.backend
    remote = not backend.url.startswith(("file://", "memory://"))
    if hasattr(backend, "reached_by"):
        try:
            found = backend.reached_by()
        except RunStoreError as exc:
            yield fault("credentials", exc)
            yield from _unknown(_AFTER)
            return
        yield Finding("endpoint", "ok", f"{found['endpoint']}, region {found['region']}")
        yield Finding("credentials", "ok", f"from {found['credentials']}")
    elif not remote:
        told = f"none are needed; this process is the user {os.geteuid()}"
        yield Finding("credentials", "ok", told)
    else:
        yield Finding("credentials", "ok", "looked up by the client of the place")
    trial = _Trial(backend)
    yield from trial.use()
    if trial.failed:
        yield from _unknown(check for check in _AFTER if check != trial.failed)
        return
    yield from _clock(trial, remote)
    yield from _promises(store, trial)
    if speed:
        yield from trial.measured()


def _unknown(checks: Iterable[str]) -> Iterator[Finding]:
    for check in checks:
        yield Finding(check, "unknown", "not looked at, because of the fault above")


class _Trial:
    """One use of a place, step by step.

    Attributes:
        failed: The check after which all other steps would fail, too; empty if there is none.
        writable: Whether an object could be written.
        skew: Seconds that this machine is ahead of the place, as far as that is known.
    """

    def __init__(self, backend: "Backend") -> None:
        self._backend = backend
        self._key = f"{_FOLDER}doctor-{secrets.token_hex(8)}"
        self.failed, self.writable = "", False
        self.skew: float | None = None
        self._latency = 0.0

    def use(self) -> Iterator[Finding]:
        """List, write, read and delete."""
        backend, may, refused = self._backend, list[str](), dict[str, RunStoreError]()

        def step(name: str, call: Callable[[], Any]) -> None:
            try:
                call()
            except RunStoreError as exc:
                refused[name] = exc
            else:
                may.append(name)

        step("list", lambda: backend.folders(""))
        if "list" in refused and not isinstance(refused["list"], AccessDeniedError):
            yield self._gives_up("place", refused["list"])
            return
        begun = time.monotonic()
        step("write", self._write)
        self._latency = time.monotonic() - begun
        if "write" in may:
            self.writable = True
            step("read", self._read)
            step("delete", self._delete)
        elif "list" in may:
            there = list[str]()
            with suppress(AccessDeniedError):  # a folder below may not be listed
                there += glimpse(backend, "", 1)
            if there:
                step("read", lambda: backend.tail(there[0], 1))
        if not may:
            skewed = "TooSkewed" in str(refused["list"])
            yield self._gives_up("clock" if skewed else "credentials", refused["list"])
        elif refused:
            yield from self._refused(may, refused)
        else:
            yield Finding("permissions", "ok", f"may {', '.join(may)}")

    def _gives_up(self, check: str, error: RunStoreError) -> Finding:
        self.failed = check
        return fault(check, error)

    def _refused(self, may: list[str], refused: dict[str, RunStoreError]) -> Iterator[Finding]:
        told = f"may {', '.join(may)}; may not {', '.join(refused)}"
        error = next(iter(refused.values()))
        full = isinstance(error, StorageFullError)
        found = fault("space" if full else "permissions", error)
        if full or not isinstance(error, AccessDeniedError):
            yield found
            return
        cure = found.cure
        if self._backend.url.startswith("s3://"):
            cure = f"Give the user of these credentials {_NEEDS}"
        yield found._replace(told=f"{told}: {found.told}", cure=cure)

    def _write(self) -> None:
        before = time.time()
        self._backend.put(self._key, [_BODY])
        after = time.time()
        with suppress(RunStoreError):  # told of by the step that reads
            there = self._backend.head(self._key).modified
            # The place tells whole seconds; and it wrote at some moment between the two.
            written = (there if there.tzinfo else there.replace(tzinfo=UTC)).timestamp()
            self.skew = max(before - written - 1, 0.0) or min(after - written, 0.0)

    def _read(self) -> None:
        self._backend.get(self._key)

    def _delete(self) -> None:
        self._backend.delete(self._key)
        prune(self._backend, _FOLDER)

    def measured(self) -> Iterator[Finding]:
        """Move some megabytes to and fro."""
        if not self.writable:
            yield Finding("speed", "unknown", "not measured: nothing can be written")
            return
        body = os.urandom(_PIECE)
        try:
            begun = time.monotonic()
            self._backend.put(self._key, [body])
            up = time.monotonic() - begun
            try:
                begun = time.monotonic()
                data = bytes(flat(self._backend.get(self._key)[0]))
                down = time.monotonic() - begun
            finally:
                self._delete()
        except RunStoreError as exc:
            yield fault("space" if isinstance(exc, StorageFullError) else "speed", exc)
            return
        if data != body:
            yield Finding(
                "speed",
                "fault",
                f"{size(_PIECE)} that were written came back as other bytes",
                "Do not use this place before you know why: a proxy, a cache, a broken disk",
            )
            return
        short = self._latency < 0.1  # seconds
        latency = f"{self._latency * 1000:.2g} ms" if short else duration(self._latency)
        told = f"up {size(int(_PIECE / up))}/s, down {size(int(_PIECE / down))}/s"
        yield Finding("speed", "ok", f"{told}, a small put in {latency}")


def _clock(trial: _Trial, remote: bool) -> Iterator[Finding]:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if not remote:
        yield Finding("clock", "ok", f"{now}; there is no other clock to compare it with")
        return
    if trial.skew is None:
        yield Finding("clock", "unknown", f"{now}; nothing was written to compare it with")
        return
    if abs(trial.skew) < _SKEW:
        yield Finding("clock", "ok", f"{now}, as the place has it")
        return
    way = "ahead of" if trial.skew > 0 else "behind"
    told = f"this machine's clock is {duration(abs(trial.skew))} {way} that of the place"
    cure = "Set the clock, as by NTP (`timedatectl set-ntp true`), here or there"
    yield Finding("clock", "fault" if abs(trial.skew) >= _TOO_MUCH else "warning", told, cure)


def _promises(store: "ObjectStore", trial: _Trial) -> Iterator[Finding]:
    if not trial.writable:
        yield Finding("conditional writes", "unknown", "not tried: nothing can be written")
        yield Finding("guarantees", "ok", f"{store.backend.guarantees}")
        return
    try:
        facts = store.guarantees
    except RunStoreError as exc:
        yield fault("conditional writes", exc)
        return
    lacking = [
        name
        for name, kept in (("if_absent", facts.create), ("if_match", facts.compare_and_swap))
        if not kept
    ]
    if not lacking:
        yield Finding("conditional writes", "ok", "if_absent and if_match are kept")
    else:
        told = f"{' and '.join(lacking)} cannot be kept, so such puts are refused"
        if store.backend.url.startswith("s3://"):
            told = f"the server ignores conditional writes: {told}"
        if facts.create is False:
            told += ", and two runs may take one name"
        yield Finding(
            "conditional writes",
            "fault" if facts.create is False else "warning",
            told,
            "Use a place that keeps them, as a disk, AWS S3, MinIO, SeaweedFS, Cloudflare R2, "
            "Google or Azure; or put without conditions, from one process at a time",
        )
    if facts.atomic_put == "no":
        yield Finding(
            "guarantees",
            "fault",
            "a reader can see half of a put here, so puts are refused",
            "Choose another place, or accept it with ObjectStore(…, allow_torn=True)",
        )
    else:
        yield Finding("guarantees", "ok", str(facts))
