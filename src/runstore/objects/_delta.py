"""Puts that send what differs from the version that is there, and let the place copy the rest."""

from collections.abc import Iterable

from runstore.buffers import Buffer
from runstore.errors import ObjectNotFoundError
from runstore.places import Entry, Wrapper

__all__ = ["DeltaBackend"]


class DeltaBackend(Wrapper):
    """A backend that writes over an earlier version by its changes, where the place can.

    What is written is the same, byte for byte. Where the place cannot, or nothing is there, it is
    an ordinary put.
    """

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`.

        Raises:
            PreconditionFailedError: The earlier version was replaced meanwhile; nothing was
                written, and *buffers* are used up.
            ObjectNotFoundError: It was removed meanwhile, likewise.
        """
        update = getattr(self._backend, "update", None)
        old = self._there(key) if update is not None and not if_absent else None
        if update is not None and old is not None:
            entry: Entry | None = update(key, buffers, old, if_match=if_match)
            if entry is not None:
                return entry
        return self._backend.put(key, buffers, if_absent=if_absent, if_match=if_match)

    def _there(self, key: str) -> Entry | None:
        try:
            return self._backend.head(key)
        except ObjectNotFoundError:
            return None
