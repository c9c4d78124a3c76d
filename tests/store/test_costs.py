"""What put and get may cost, in counts: bytes, calls, allocations. Times are for benchmarks."""

import fcntl
import gc
import itertools
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from types import BuiltinFunctionType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore import ObjectStore, object_store, run_context

KIB, MIB = 1 << 10, 1 << 20

_POOLS: list[pa.MemoryPool] = []  # a buffer must not outlive the pool it came from


@pytest.fixture
def local(tmp_path):
    """Give a view on local disk in which something has been put and got before."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    for name in ("warm", "warmer"):
        view.put(name, b"x" * KIB)
        view.get(name)
        view.put(name, frame(8))
        view.get(name)
    return view


def frame(rows):
    """Give 16 columns of float64, each in one piece."""
    return pd.DataFrame({f"x{i:02}": np.arange(float(rows)) + i for i in range(16)})


@contextmanager
def io_counted():
    """Give what the kernel counts meanwhile: bytes and calls of read() and write()."""
    counted = {}
    before = _io()
    yield counted
    after = _io()
    counted |= {name: after[name] - before[name] for name in after}


def _io():
    text = Path("/proc/self/io").read_text()
    return {name: int(n) for name, n in (line.split(": ") for line in text.splitlines())}


@contextmanager
def calls_counted():
    """Give how often each function of the operating system was called meanwhile, by this thread."""
    counted, thread = Counter(), get_ident()
    gc.collect()  # what other tests have left is not closed in between

    def counting(module, name, function):
        def call(*args, **kwargs):
            if get_ident() == thread:
                counted[name] += 1
            return function(*args, **kwargs)

        patch.setattr(module, name, call)

    with pytest.MonkeyPatch.context() as patch:
        for module in (os, fcntl):
            for name, function in vars(module).copy().items():
                if isinstance(function, BuiltinFunctionType) and name not in _NO_CALLS:
                    counting(module, name, function)
        yield counted


_NO_CALLS = {"fspath", "getpid", "urandom"}  # they touch no file


@contextmanager
def allocations():
    """Give the peak of what Python, NumPy and Arrow allocate meanwhile, in bytes."""
    peaks = {}
    pool, normal = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    _POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield peaks
        peaks["bytes"] = tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0)
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(normal)


needs_proc = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads Linux's /proc")


@needs_proc
@pytest.mark.parametrize("make", [frame, np.arange], ids=["frame", "array"])
def test_a_put_writes_each_byte_once(local, make):
    """What is written is the value and at most 16 KiB; nothing is read back."""
    value = make(MIB // 2)
    nbytes = value.memory_usage(index=False).sum() if make is frame else value.nbytes
    with io_counted() as io:
        info = local.put("x", value)
    assert nbytes <= info.size <= nbytes + 16 * KIB
    assert info.size <= io["wchar"] <= info.size + 16 * KIB
    assert io["rchar"] <= 64 * KIB


@needs_proc
def test_a_get_of_a_large_object_reads_only_what_describes_it(local):
    """A frame of 64 MiB is mapped: not its bytes are read, but its footer at most."""
    local.put("x", frame(MIB // 2))
    with io_counted() as io:
        got = local.get("x")
    assert io["rchar"] <= 64 * KIB
    assert io["wchar"] <= KIB  # other threads of the process wake each other by a few bytes
    assert MIB // 2 == len(got)


@pytest.mark.parametrize("value", [b"x" * KIB, "x" * KIB, {"a": [1, None, "x" * KIB]}, 7])
def test_a_small_object_takes_few_calls_to_the_system(local, value):
    """A put is open, write, set the time, size, close, rename; a get open, size, read, close."""
    local.put("x", value)  # makes the folder that it is written in
    local.get("x")
    with calls_counted() as put:
        local.put("x", value)
    with calls_counted() as get:
        assert value == local.get("x")
    assert put.total() <= 6, put
    assert get.total() <= 4, get


@pytest.mark.skipif(shutil.which("strace") is None, reason="counts with strace")
def test_the_kernel_counts_as_few_calls(tmp_path):
    """Of 200 puts, and of 200 gets, strace sees six and four calls each, and few beside."""
    log = tmp_path / "calls"
    command = ["strace", "-f", "-qq", "-o", log, sys.executable, "-c", _PUTS_AND_GETS]
    subprocess.run([*command, tmp_path / "store"], check=True)
    lines = log.read_text().splitlines()
    marks = [at for at, line in enumerate(lines) if "mark-" in line]
    assert 3 == len(marks)
    puts, gets = (end - start - 1 for start, end in itertools.pairwise(marks))
    assert puts <= 6 * 200 + 40  # memory that is asked for now and then
    assert gets <= 4 * 200 + 40


_PUTS_AND_GETS = """
import os, sys
from runstore import object_store, run_context
with run_context(namespace="dev", store=sys.argv[1]):
    for _ in range(3):
        object_store.put("x", b"x" * 1024)
        object_store.get("x")
    os.access("mark-1", 0)
    for _ in range(200):
        object_store.put("x", b"x" * 1024)
    os.access("mark-2", 0)
    for _ in range(200):
        object_store.get("x")
    os.access("mark-3", 0)
"""


@contextmanager
def python_calls():
    """Give how many functions in Python were called meanwhile."""
    counted = Counter()

    def count(frame, event, _arg):
        if event == "call":
            counted[frame.f_code.co_qualname] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(before)
    counted -= Counter({one: 1 for one in counted if one.endswith("__exit__")})
    # Templates of other tests whose files end in the same way are tried first, a call each.
    counted["Template.open"] = min(counted["Template.open"], 1)


@pytest.mark.parametrize("place", ["memory://costs", "local"])
def test_a_small_object_takes_few_calls_of_python(tmp_path, place):
    """What a bare loop of system calls has not: 30 functions in Python for a put, 27 for a get."""
    url = str(tmp_path / "store") if place == "local" else place
    with run_context(namespace="dev", store=url):
        for _ in range(3):
            object_store.put("x", b"x" * KIB)
            object_store.get("x")
        with python_calls() as put:
            object_store.put("x", b"x" * KIB)
        with python_calls() as get:
            object_store.get("x")
    assert put.total() <= 30, put
    assert get.total() <= 27, get


def test_a_small_object_takes_little_beside_its_bytes(local):
    """What describes an object of 1 KiB is at most 1.5 KiB."""
    assert local.put("x", b"x" * KIB).size <= 2.5 * KIB


@pytest.mark.parametrize("make", [frame, np.arange], ids=["frame", "array"])
def test_put_and_get_hold_no_copy(local, make):
    """Moving 64 or 4 MiB allocates no more than the pieces under way: 5 MiB, and 256 KiB."""
    value = make(MIB // 2)
    local.put("first", value)  # imports, and what is made once
    local.get("first")
    with allocations() as put:
        local.put("x", value)
    with allocations() as get:
        local.get("x")
    assert put["bytes"] <= 5 * MIB
    assert get["bytes"] <= 256 * KIB


def test_a_small_object_allocates_little(local):
    """Less than 64 KiB for a put or a get of 1 KiB."""
    local.put("first", b"x" * KIB)  # imports, and what is made once
    local.get("first")
    with allocations() as put:
        local.put("x", b"x" * KIB)
    with allocations() as get:
        local.get("x")
    assert put["bytes"] <= 64 * KIB
    assert get["bytes"] <= 64 * KIB


def test_the_counts_can_fail(tmp_path):
    """What does copy, read or call is seen to."""
    path, value = tmp_path / "x", np.zeros(MIB)
    with calls_counted() as calls:
        path.write_bytes(value.tobytes())
        path.stat()
    assert calls["stat"] == 1
    with allocations() as peaks:
        value.copy()
    assert peaks["bytes"] >= value.nbytes
    if Path("/proc/self/io").exists():
        with io_counted() as io:
            path.read_bytes()
        assert io["rchar"] >= value.nbytes
