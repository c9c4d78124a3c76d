"""Whether a context may still write: every run and every attempt of a stage has a lease.

A lease is revoked when its attempt is given up, and when its run has ended or was
deleted. Contexts hold their lease, so the check costs two attribute reads. In one
process all contexts of an attempt hold the same lease, also those that were
pickled and unpickled: a lease is found by its key as long as anything refers to it.
Another process has a lease of its own under the same key, which the worker there
revokes. A process that a stage has started itself reads the run's sign file
(`runstore.signs`).
"""

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from runstore.context._trace import Note, Trace
from runstore.errors import StaleRunError
from runstore.lifetime import WeakValues, forget_at_fork
from runstore.signs import Sign, Watch, process_space

__all__ = ["Lease", "attempt_key", "known_lease", "revoke"]

_PATIENCE = 2.0  # seconds to wait for a write that is being published
_REMEMBERED = 1024  # revoked leases that are kept although nothing else refers to them


class Lease:
    """The right of one run, or of one attempt of a stage, to write.

    Args:
        key: Its name in every process; no other lease ever has it.
        label: What it is the lease of, for messages: ``attempt 1 of stage 'train' of
            run 'default/r'``.
        parent: The lease that revokes this one when it is revoked: that of the attempt's run,
            or of the stage that runs a nested workflow.
    """

    __slots__ = (
        *("__weakref__", "_above", "_home", "_reason", "_sign", "_sign_at", "_watch", "_writes"),
        *("key", "label", "note", "parent", "probe", "secrets", "told", "trace"),
    )

    def __init__(self, key: str, label: str, parent: "Lease | None" = None) -> None:
        self.key = key
        self.label = label
        self.parent = parent
        self._above: tuple[Lease, ...] = () if parent is None else (parent, *parent._above)
        self.probe: Callable[[], str | None] | None = None
        """Called before each write where nobody revokes it: returns a reason to refuse, or None."""
        self.told = False
        """Whether code in this process revokes it in time, so that no sign has to be read."""
        self.trace: Trace | None = None
        """Of an attempt: collects what it reads and writes in this process."""
        self.secrets: object | None = None
        """Of a run that this process started: what is masked in its errors; it stays here."""
        self.note: Note | None = None
        """Of an attempt that has run in another process: what was collected there."""
        self._home = _known.home
        self._reason: str | None = None
        self._writes: set[object] = set()  # those that are being published
        # Only of a lease without a parent; its children use it:
        self._sign: Sign | None = None  # for others
        self._sign_at: tuple[str, str] | None = None  # its path, and where that has its meaning
        self._watch: Watch | None = None  # of another process's
        _known.add(self)

    @property
    def revoked(self) -> str | None:
        """Why its contexts can no longer write, or None if they can."""
        for lease in (self, *self._above):
            if lease._reason is not None:
                return lease._reason
            if lease.probe is not None and (reason := lease.probe()) is not None:
                return reason
        watch = lease._watch  # the last one has it
        if watch is None or self.told:
            return None
        try:
            given_up = any(watch.is_over(one.key) for one in (self, *self._above))
        except OSError as exc:  # no descriptor is left, say
            return f"the file that says whether its run goes on cannot be read ({exc})"
        return "its run has ended, or it was given up there" if given_up else None

    def noted(self) -> Note | None:
        """Return what its attempt has read and written; None if that is nothing."""
        if self.note is not None or self.trace is None:
            return self.note
        return self.trace.note()

    @property
    def watches(self) -> bool:
        """Whether it reads the sign of another process of this host."""
        return (self, *self._above)[-1]._watch is not None

    def check(self) -> None:
        """Return if its contexts may write.

        Raises:
            StaleRunError: They may not.
        """
        if (reason := self.revoked) is not None:
            raise StaleRunError(
                f"{self.label} can no longer write: {reason}. What it left running is refused "
                "every put, delete and copy; reads go on. To write to this run on purpose, use "
                "ObjectStore(…).at(namespace=…, run=…) outside of its context",
                self.label,
            )

    def begin(self, write: object) -> None:
        """Register *write*, which is about to be published; `revoke` waits until its `end`.

        Raises:
            StaleRunError: The lease is revoked, and nothing must be published.
        """
        for lease in (
            self,
            *self._above,
        ):  # first this, then the check: `revoke` does it the other way
            lease._writes.add(write)
        try:
            self.check()
        except BaseException:
            self.end(write)
            raise

    def end(self, write: object) -> None:
        """Remove *write*, which has been published or has failed."""
        for lease in (self, *self._above):
            lease._writes.discard(write)

    def revoke(self, reason: str, patience: float = _PATIENCE) -> None:
        """Refuse every later write under this lease and under its children.

        Waits up to *patience* seconds for writes of this process that are being published.
        The first *reason* stays.
        """
        if self._reason is None:
            self._reason = reason
            _known.remember(self)
            self._tell_others()
        until = time.monotonic() + patience
        while self._writes and time.monotonic() < until:
            time.sleep(0.002)

    def _tell_others(self) -> None:
        root = self._above[-1] if self._above else self
        with _known.lock:
            sign = root._sign
            if sign is None:
                return
            if root is self:
                root._sign = None
                sign.remove()
            elif not sign.add(self.key):
                root._sign = None

    def _leave_sign(self) -> None:
        """Make the sign file for the processes that this lease goes to, if it was made here."""
        with _known.lock:
            unsigned = self.parent is None and self._sign_at is None and self._reason is None
            if not unsigned or self._home != _known.home or (space := process_space()) is None:
                return
            with contextlib.suppress(OSError):  # no temporary files: then they are not told
                self._sign = Sign()
                self._sign_at = self._sign.path, space

    def _look_for_sign(self, sign_at: tuple[str, str] | None) -> None:
        """Read the sign of another process from now on, if it is one of this host."""
        self._sign_at = sign_at
        if sign_at is not None and sign_at[1] == process_space():
            self._watch = Watch(sign_at[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lease) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Lease({self.label}{', revoked' if self.revoked else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        self._leave_sign()
        state = self._home, self._reason, self._sign_at
        return _again, (self.key, self.label, self.parent, *state)


def _again(
    key: str,
    label: str,
    parent: Lease | None,
    home: str,
    reason: str | None,
    sign_at: tuple[str, str] | None,
) -> Lease:
    """Return the lease of *key* in this process."""
    with _known.lock:
        known = _known.leases.get(key)
        if known is not None:
            if known._home != _known.home and known._watch is None:
                known._look_for_sign(sign_at)
            return known
        lease = Lease(key, label, parent)
        lease._home, lease._reason = home, reason
        if home != _known.home:
            lease._look_for_sign(sign_at)
        elif parent is None and reason is None:  # a run that goes on is known where it began
            lease._reason = "its run has ended"
        return lease


class _Known:
    """The leases of this process, as long as something refers to them.

    The last revoked ones are kept anyway, so that a context that comes back from
    another process is refused, too.
    """

    def __init__(self) -> None:
        self.leases: WeakValues[str, Lease] = WeakValues()
        self._revoked: deque[Lease] = deque(maxlen=_REMEMBERED)
        self.forget()
        forget_at_fork(self)

    def prepare(self) -> None:
        """Before a fork, make the signs that the child will read."""
        for lease in self.leases.living():
            lease._leave_sign()

    def forget(self) -> None:
        """Start anew in a forked child: another home, no lock held, no write under way."""
        # The parent revokes what the child has inherited, and the child sees it by the sign.
        self.lock = threading.RLock()
        self.home = secrets.token_hex(8)
        for lease in self.leases.living():
            lease._writes = set()
            lease._sign = None
            lease.told = False
            if lease._sign_at is not None and lease._watch is None:
                lease._look_for_sign(lease._sign_at)

    def add(self, lease: Lease) -> None:
        with self.lock:
            self.leases.put(lease.key, lease)

    def remember(self, lease: Lease) -> None:
        self._revoked.append(lease)


_known = _Known()


def attempt_key(uid: str, stage: str, number: int, index: int | None) -> str:
    """Return the key of the lease of an attempt, in the run of this *uid*, whose key that is."""
    item = "" if index is None else f"[{index}]"
    return f"{uid}/{stage!r}{item}/{number}"  # quoted: another stage may be called 'stage[0]'


def known_lease(*keys: str) -> Lease | None:
    """Return the lease of the first of these keys that this process knows, or None."""
    with _known.lock:
        found = map(_known.leases.get, keys)
        return next((lease for lease in found if lease is not None), None)


def revoke(keys: Iterable[str], reason: str) -> None:
    """Revoke the leases of these keys that this process knows."""
    for key in keys:
        with _known.lock:
            lease = _known.leases.get(key)
        if lease is not None:
            lease.revoke(reason)
