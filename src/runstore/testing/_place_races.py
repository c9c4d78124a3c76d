"""What a place promises to several writers and readers at a time, as tests."""

import threading
from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from runstore.buffers import flat
from runstore.errors import ObjectExistsError, PreconditionFailedError
from runstore.places import Backend
from runstore.testing._unclaimed import together

__all__ = ["PlaceRaces"]

LARGE = 1 << 20


class PlaceRaces(ABC):
    """Writers and readers at the same time. `PlaceTests` describes the attributes."""

    repeats: ClassVar[int]

    @pytest.fixture
    @abstractmethod
    def backend(self) -> Backend:
        """Return an empty backend."""

    def test_one_of_many_creates(self, backend: Backend) -> None:
        """Of eight threads that put with if_absent at once, exactly one succeeds, each time."""
        if not backend.probe().create:
            return
        for round_ in range(self.repeats):
            barrier = threading.Barrier(8)
            won: list[bytes] = []

            def race(
                i: int, key: str, barrier: threading.Barrier = barrier, won: list[bytes] = won
            ) -> None:
                barrier.wait()
                try:
                    backend.put(key, [b"%d" % i], if_absent=True)
                except ObjectExistsError:
                    return
                won.append(b"%d" % i)

            key = f"race-{round_}.arrow"
            together([partial(race, i, key) for i in range(8)])
            assert [bytes(flat(backend.get(key)[0]))] == won

    def test_no_update_is_lost_under_if_match(self, backend: Backend) -> None:
        """Threads that count up with if_match and retry lose no step."""
        if not backend.probe().compare_and_swap:
            return
        backend.put("n.arrow", [b"0"])

        def count() -> None:
            for _ in range(20):
                while True:
                    data, entry = backend.get("n.arrow")
                    step = b"%d" % (int(bytes(flat(data))) + 1)
                    try:
                        backend.put("n.arrow", [step], if_match=entry.version)
                        break
                    except PreconditionFailedError:
                        continue

        together([count] * 4)
        assert b"80" == bytes(flat(backend.get("n.arrow")[0]))

    def test_readers_never_see_a_mixture(self, backend: Backend) -> None:
        """While an object is overwritten again and again, every get() is one whole version."""
        done = threading.Event()
        backend.put("a.arrow", [b"a" * LARGE])

        def write() -> None:
            for i in range(30):
                part = bytes([97 + i % 26]) * (LARGE // 4)
                backend.put("a.arrow", [part] * 4)
            done.set()

        mixtures: list[set[int]] = []

        def read() -> None:
            while not done.is_set():
                values = set(
                    np.unique(np.frombuffer(flat(backend.get("a.arrow")[0]), "u1")).tolist()
                )
                if len(values) != 1:
                    mixtures.append(values)

        together([write, read, read])
        assert [] == mixtures

    def test_listing_survives_puts_and_deletes(self, backend: Backend) -> None:
        """list() under concurrent puts and deletes never fails and shows what stays."""
        backend.put("stays/x.arrow", [b"x"])
        done = threading.Event()
        listings: list[bool] = []

        def churn() -> None:
            for i in range(20 * self.repeats):
                backend.put(f"stays/{i % 7}/y.arrow", [b"y"])
                backend.delete(f"stays/{i % 7}/y.arrow")
            done.set()

        def look() -> None:
            while True:
                finished = done.is_set()  # looked at first: there is a listing after the churn
                listings.append("stays/x.arrow" in [entry.key for entry in backend.list("")])
                if finished:
                    return

        together([churn, look])
        assert {True} == set(listings)
