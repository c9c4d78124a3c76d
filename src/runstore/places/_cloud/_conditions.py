"""Whether a server keeps the conditions it is given. Some answer 200 and overwrite."""

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from runstore.lifetime import Bounded
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._wire import CloudClient, Condition, Failure
from runstore.places._guarantees import Guarantees

__all__ = ["HIDDEN", "Probe"]

HIDDEN = ".runstore-tmp/"
"""Where objects stand that are not the user's; never listed."""

_ABSENT = Condition(if_absent=True)
_OTHER = Condition(if_match='"00000000000000000000000000000000"')
_UNKNOWN = frozenset({400, 405, 501})  # the server says that it knows no such thing

_known: Bounded[tuple[object, ...], bool] = Bounded(1000)


class Probe:
    """What one bucket's server does with conditions; asked once per process, when first needed.

    Args:
        place: Endpoint and bucket: what the answer holds for.
        prefix: Where a small object may be written and removed.
    """

    def __init__(self, place: tuple[object, ...], prefix: str) -> None:
        self._place = place
        self._prefix = prefix
        self._asking = threading.Lock()  # a forked child has a probe of its own

    def keeps(self, client: CloudClient, condition: Condition, timeout: float) -> bool:
        """Return whether a put in one request keeps conditions of this kind: three requests."""

        def again(name: str, deadline: Deadline) -> None:
            body = [memoryview(b"runstore asks whether conditions are kept")]
            persist(lambda t: client.put(name, body, "probe", wanted, t), deadline)

        wanted = _ABSENT if condition.if_absent else _OTHER
        return self._answer(("put", condition.if_absent), client, timeout, again)

    def keeps_in_parts(self, client: CloudClient, condition: Condition, timeout: float) -> bool:
        """Return whether the completion of a multipart upload keeps conditions of this kind."""
        if client.parts is None:
            return False
        parts, wanted = client.parts, _ABSENT if condition.if_absent else _OTHER

        def again(name: str, deadline: Deadline) -> None:
            body = [memoryview(b"runstore asks whether conditions are kept")]
            upload = persist(lambda t: parts.create(name, "probe", t), deadline)
            try:
                tag = persist(lambda t: parts.send(name, upload, 1, body, t), deadline)
                persist(lambda t: parts.complete(name, upload, [tag], wanted, t), deadline)
            except Failure:
                with suppress(Failure):
                    parts.abort(name, upload, deadline.request)
                raise

        return self._answer(("parts", condition.if_absent), client, timeout, again)

    def complete(self, guarantees: Guarantees) -> Guarantees:
        """Return *guarantees* with what the server has answered so far."""
        return replace(
            guarantees,
            create=_known.get((*self._place, "put", True)),
            compare_and_swap=_known.get((*self._place, "put", False)),
        )

    def _answer(
        self,
        kind: tuple[object, ...],
        client: CloudClient,
        timeout: float,
        again: Callable[[str, Deadline], None],
    ) -> bool:
        found = _known.get((*self._place, *kind))
        if found is None:
            with self._asking:  # many threads may come here at once; one asks
                found = _known.get((*self._place, *kind))
                if found is None:
                    found = self._ask(client, Deadline(timeout), again)
                    _known.put((*self._place, *kind), found)
        return found

    def _ask(
        self, client: CloudClient, deadline: Deadline, again: Callable[[str, Deadline], None]
    ) -> bool:
        name = f"{self._prefix}{HIDDEN}probe-{secrets.token_hex(12)}"
        body = [memoryview(b"there")]
        persist(lambda t: client.put(name, body, "probe", Condition(), t), deadline)
        try:
            again(name, deadline)
        except Failure as failure:
            if failure.condition_failed:
                return True
            if failure.status in _UNKNOWN:
                return False
            raise
        finally:
            with suppress(Failure):  # a leftover is hidden and tiny
                persist(lambda t: client.delete(name, t), deadline)
        return False
