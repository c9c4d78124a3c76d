"""Trying what a place does not promise, for the report of `PlaceTests`."""

import mmap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from runstore.buffers import flat
from runstore.errors import ObjectExistsError, PreconditionFailedError, StorageError
from runstore.places import Backend, Guarantees

__all__ = ["UnclaimedWarning", "holding", "together"]

_LARGE = 1 << 20


class UnclaimedWarning(UserWarning):
    """A place seems to keep a promise that its guarantees do not make."""


def holding(
    backend: Backend, unrestrained: Backend | None, another: Backend | None, claimed: Guarantees
) -> Iterator[str]:
    """Yield the names of guarantees that are not claimed and seem to hold."""
    if claimed.versions in ("content", "time", "none"):
        versions = [backend.put("v.arrow", [b"same"]).version for _ in range(20)]
        if len(set(versions)) == len(versions):
            yield "versions"
    backend.put("m.arrow", [bytes(_LARGE)])
    if not claimed.mapped and isinstance(flat(backend.get("m.arrow")[0]).obj, mmap.mmap):
        yield "mapped"
    if not claimed.shared and another is not None and [*another.list("")]:
        yield "shared"
    if unrestrained is None:
        return
    if not claimed.create and _creates(unrestrained):
        yield "create"
    if not claimed.compare_and_swap and _compares(unrestrained):
        yield "compare_and_swap"


def _creates(backend: Backend) -> bool:
    """Return whether of several that create at once one succeeds, five times."""
    for i in range(5):
        won: list[int] = []

        def create(number: int, key: str = f"c{i}.arrow", won: list[int] = won) -> None:
            with suppress(StorageError, ObjectExistsError):
                backend.put(key, [b"%d" % number], if_absent=True)
                won.append(number)

        together([partial(create, number) for number in range(8)])
        if len(won) != 1 or bytes(flat(backend.get(f"c{i}.arrow")[0])) != b"%d" % won[0]:
            return False
    return True


def _compares(backend: Backend) -> bool:
    """Return whether of several that replace one version at once one succeeds, five times."""
    for _ in range(5):
        version = backend.put("n.arrow", [b"old"]).version
        won: list[int] = []

        def replace(number: int, version: str | None = version, won: list[int] = won) -> None:
            with suppress(StorageError, PreconditionFailedError):
                backend.put("n.arrow", [b"%d" % number], if_match=version)
                won.append(number)

        together([partial(replace, number) for number in range(8)])
        if len(won) != 1 or bytes(flat(backend.get("n.arrow")[0])) != b"%d" % won[0]:
            return False
    return True


def together(jobs: list[Callable[[], None]]) -> None:
    """Run *jobs* in threads at once and raise what the first failing one raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as exc:  # noqa: BLE001 - raised again below, in the test's thread
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
