"""Large objects are copied on the server: their bytes do not pass through this process."""

import numpy as np
import pytest
from tests.places.s3_ import ENGINES, open_store

from runstore.errors import ObjectExistsError, ObjectNotFoundError, PreconditionFailedError
from runstore.places import Tail

LARGE = np.random.default_rng(1).random(3 << 20)  # 24 MiB


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_copy_is_six_requests(seaweed_server, engine):
    """Two looks at the source and four requests of an upload, of whatever size."""
    store = open_store(seaweed_server, engine)
    bucket = store.url.removeprefix("s3://").partition("/")[0]
    view = store.at(namespace="dev", run="r1")
    put = view.put("a", LARGE, metadata={"x": 1})
    before = seaweed_server.requests(bucket)
    copied = view.copy("a", to_name="b")
    counted = seaweed_server.requests(bucket) - before
    assert counted.total() <= 6, counted
    stat = view.stat("b")
    assert (put.digest, put.size, {"x": 1}) == (stat.digest, stat.size, stat.metadata)
    assert (stat.version, stat.size) == (copied.version, copied.size)
    value, info = view.get_with_info("b", verify=True)
    assert np.array_equal(LARGE, value)
    assert "b" == info.name
    with pytest.raises(ObjectExistsError):
        view.copy("a", to_name="b", if_absent=True)
    with pytest.raises(ObjectNotFoundError):
        view.copy("missing", to_name="b")
    view.put("b", LARGE[:1])
    assert np.array_equal(LARGE, view.get("a"))


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_is_of_one_version(s3_server, engine):
    """A source that was replaced, or deleted, meanwhile is not mixed into a copy."""
    backend = open_store(s3_server, engine).backend
    content = LARGE[: 1 << 20].tobytes()
    first = backend.put("a.arrow", [content])
    tail = Tail(first.version, len(content) - 3, [b"end", b"!"])
    copied = backend.copy("a.arrow", "b.arrow", tail=tail)
    assert len(content) + 1 == copied.size
    assert content[:-3] + b"end!" == bytes(backend.get("b.arrow")[0])
    backend.put("a.arrow", [content[::-1]])
    with pytest.raises(PreconditionFailedError):
        backend.copy("a.arrow", "b.arrow", tail=tail)
    assert content[:-3] + b"end!" == bytes(backend.get("b.arrow")[0])
    backend.delete("a.arrow")
    with pytest.raises(ObjectNotFoundError):
        backend.copy("a.arrow", "b.arrow", tail=tail)
    assert [] == backend.unfinished()
