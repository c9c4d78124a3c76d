import gc
import os
import resource

import pytest
from tests.places.descriptors import ANONYMOUS, open_files
from tests.places.test_local_interrupts import interrupt

from runstore.buffers import MAP_FROM
from runstore.errors import StoreClosedError
from runstore.places import open_backend
from runstore.places._memory import _kept
from runstore.testing import PlaceTests


class TestMemory(PlaceTests):
    """The memory backend keeps the contract."""

    @pytest.fixture
    def backend(self, request):
        return open_backend(f"memory://{request.node.nodeid}")

    def raw_read(self, backend, key):
        data = backend._space.objects[key].data
        return data if isinstance(data, bytes) else os.pread(data.fd, data.size, 0)


def test_one_name_is_one_place():
    """Two backends of one name share their objects; another name has none of them."""
    open_backend("memory://shared").put("a.arrow", [b"x"])
    assert ["a.arrow"] == [entry.key for entry in open_backend("memory://shared").list("")]
    assert [] == list(open_backend("memory://other").list(""))


def test_large_objects_give_their_memory_back():
    """Replacing and deleting large objects closes what held them."""
    backend = open_backend("memory://gives-back")
    gc.collect()  # what other tests have left
    before = len(open_files(ANONYMOUS))
    for _ in range(20):
        backend.put("a.arrow", [bytes(1 << 20)])
    assert before + 1 == len(open_files(ANONYMOUS))
    backend.delete("a.arrow")
    assert before == len(open_files(ANONYMOUS))


def test_many_large_objects_do_not_use_up_file_descriptors():
    """However many large objects are kept and read, few descriptors are open."""
    backend = open_backend("memory://many")
    for i in range(600):
        backend.put(f"{i}.arrow", [bytes([i % 256]) * 130_000])
    read = [backend.get(f"{i}.arrow")[0] for i in range(600)]
    assert len(open_files(ANONYMOUS)) < 600
    assert [i % 256 for i in range(600)] == [memoryview(data)[-1] for data in read]
    for i in range(600):
        backend.delete(f"{i}.arrow")


def test_without_descriptors_large_objects_are_kept_and_read_all_the_same():
    """A process that can open no more files puts and gets large objects in memory."""
    backend = open_backend("memory://no-descriptors")
    backend.put("before.arrow", [b"b" * 300_000])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, limits[1]))
    try:
        backend.put("after.arrow", [b"a" * 300_000])
        before, after = backend.get("before.arrow")[0], backend.get("after.arrow")[0]
        tail = backend.tail("after.arrow", 10)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (b"b" * 300_000, b"a" * 300_000) == (bytes(before), bytes(after))
    assert b"a" * 10 == bytes(tail)


def test_objects_end_when_every_backend_of_their_name_is_closed():
    """Closing one of two keeps the objects, closing both ends them; closing twice counts once."""
    one, two = open_backend("memory://ends"), open_backend("memory://ends")
    one.put("a.arrow", [b"x"])
    one.close()
    one.close()
    assert b"x" == bytes(two.get("a.arrow")[0])
    two.close()
    assert [] == list(open_backend("memory://ends").list(""))


@pytest.mark.parametrize(
    "use",
    [
        lambda backend: backend.get("a.arrow"),
        lambda backend: backend.tail("a.arrow", 1),
        lambda backend: backend.head("a.arrow"),
        lambda backend: list(backend.list("")),
        lambda backend: backend.folders(""),
        lambda backend: backend.delete("a.arrow"),
        lambda backend: backend.put("a.arrow", [b"x"]),
    ],
    ids=["get", "tail", "head", "list", "folders", "delete", "put"],
)
def test_what_went_with_its_store_is_no_miss(use):
    """Whoever still uses a store that was closed hears of that, and keeps nothing there."""
    backend = open_backend("memory://went")
    backend.put("a.arrow", [b"x"])
    backend.close()
    with pytest.raises(StoreClosedError, match="was closed"):
        use(backend)
    another = open_backend("memory://went")
    assert [] == list(another.list(""))
    another.close()


def test_a_put_across_the_close_of_its_store_fails():
    """What comes too late is neither stored nor said to be."""
    backend = open_backend("memory://across")

    def parts():
        backend.close()
        yield b"x"

    with pytest.raises(StoreClosedError, match="was closed"):
        backend.put("a.arrow", parts())
    another = open_backend("memory://across")
    assert [] == list(another.list(""))
    another.close()


def test_a_borrowed_backend_keeps_nothing_that_others_close():
    """What a context opened beside a store does not outlive the store's objects."""
    store = open_backend("memory://lent")
    borrowed = open_backend("memory://lent", borrowed=True)
    borrowed.put("a.arrow", [b"x"])
    store.close()
    assert [] == list(borrowed.list(""))


def test_a_backend_that_was_opened_by_borrowing_alone_keeps_its_objects():
    """A run that was given the URL alone leaves its objects to be found later."""
    open_backend("memory://alone", borrowed=True).put("a.arrow", [b"x"])
    with_store = open_backend("memory://alone")
    assert b"x" == bytes(with_store.get("a.arrow")[0])
    with_store.close()
    assert b"x" == bytes(open_backend("memory://alone").get("a.arrow")[0])


def test_an_interrupt_while_an_object_is_kept_leaves_no_descriptor():
    """Ctrl-C at any step of making an anonymous file leaves none open."""
    gc.collect()  # what other tests have left; threads of theirs may still close some
    descriptors, kept, step = len(open_files(ANONYMOUS)), [], 1
    while interrupt(step, lambda: kept.append(_kept([b"x" * MAP_FROM]))):
        kept.clear()
        now = len(open_files(ANONYMOUS))
        assert now <= descriptors, step
        descriptors, step = now, step + 1
    assert step > 50
