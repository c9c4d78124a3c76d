"""Locks of forked children, and what contexts and credentials leave behind."""

import gc
import os
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

from tests.cases._case import case
from tests.servers.recorder import Recorder

from runstore import ObjectStore, object_store, run_context
from runstore.errors import AccessDeniedError, StorageError, StoreClosedError

warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads


def _child_ends(seconds: float) -> bool:
    """Wait for the child just forked, whose process id is given by the caller's fork."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.01)
    return False


@case("E1", "A child forked while the memory store's lock is held puts at once")
def memory_lock(folder: Path) -> None:
    store = ObjectStore("memory://x")
    view = store.at(namespace="n", run="r")
    view.put("a", 1)
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.backend._space.lock.held:  # type: ignore[attr-defined]
            taken.set()
            done.wait()

    threading.Thread(target=hold, daemon=True).start()
    taken.wait()
    if os.fork() == 0:
        view.put("a", 2)
        os._exit(0 if view.get("a") == 2 else 1)
    assert _child_ends(20)
    done.set()
    assert 1 == view.get("a")


@case("E1", "A child forked while another thread asks about conditions asks for itself")
def asking_lock(folder: Path) -> None:
    asking, go_on = threading.Event(), threading.Event()

    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if "probe-" in path and not asking.is_set():
            asking.set()
            go_on.wait(60)
        return 200, {"ETag": '"a"'}, b""  # to each condition, too: it keeps none

    def put(name: str) -> None:
        with suppress(StorageError):
            view.put(name, 1, if_absent=True)

    with Recorder(folder, answer) as server:
        options = {"endpoint_url": server.endpoint, "key": "k", "secret": "s"}
        view = ObjectStore("s3://b/p", engine="s3fs", **options).at(namespace="n", run="r")
        threading.Thread(target=put, args=("a",), daemon=True).start()
        assert asking.wait(60)
        if os.fork() == 0:
            put("b")
            os._exit(0)
        assert _child_ends(20)
        go_on.set()


def _held() -> tuple[int, int, float]:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory = int(status["VmRSS"].split()[0]) / 1024
    return int(status["Threads"]), len(os.listdir("/proc/self/fd")), memory


@case("E4", "Sixty contexts of sixty prefixes on s3fs take one client's threads and memory")
def sixty_prefixes(folder: Path) -> None:
    with Recorder(folder) as server:
        options = {"endpoint_url": server.endpoint, "key": "k", "secret": "s"}

        def use(i: int) -> None:
            store = ObjectStore(f"s3://b/{i}", engine="s3fs", **options)
            with run_context(store=store, namespace="n", run="r"):
                object_store.put("a", 1)
            kept.append(store)

        kept: list[ObjectStore] = []
        use(0)
        threads, descriptors, memory = _held()
        for i in range(1, 61):
            use(i)
        # The server is in this process and has a thread and a socket for each connection.
        now = _held()
        assert now[0] <= threads + 2
        assert now[1] <= descriptors + 4
        assert now[2] <= memory * 1.1 + 2


@case("E4", "Credentials can be replaced in the environment, and dropped with their store")
def credentials(folder: Path) -> None:
    with Recorder(folder) as server:
        open_one = ObjectStore("s3://b/p", engine="s3fs", endpoint_url=server.endpoint)
        view = open_one.at(namespace="n", run="r")
        for key in ("ONE", "TWO"):
            os.environ |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "s"}
            view.put("a", 1)
        assert ["ONE", "TWO"] == [request.key for request in server.requests]
        own = ObjectStore("s3://b/q", key="OWN", secret="s", endpoint_url=server.endpoint)
        with own, run_context(store=own) as ctx:
            object_store.put("a", 1)
        try:
            ObjectStore(ctx.store)
        except StoreClosedError:
            return
    raise AssertionError("the closed store's credentials are still there")


@case("E4", "A first failure to find credentials on s3fs is not final")
def first_failure(folder: Path) -> None:
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(folder / "none")}
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(folder / "none")
    with Recorder(folder) as server:
        store = ObjectStore("s3://b/p", engine="s3fs", endpoint_url=server.endpoint)
        view = store.at(namespace="n", run="r")
        try:
            view.put("a", 1)
        except AccessDeniedError:
            os.environ |= {"AWS_ACCESS_KEY_ID": "LATER", "AWS_SECRET_ACCESS_KEY": "s"}
        view.put("a", 1)
        assert ["LATER"] == [request.key for request in server.requests]
