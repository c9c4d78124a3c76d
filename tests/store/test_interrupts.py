"""Ctrl-C ends a verb soon, whatever it waits for, and little happens afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module

import pytest
from tests.places.s3_ import ENGINES, open_store, options
from tests.servers import faults
from tests.servers.proxy import FaultProxy
from tests.servers.recorder import Recorder

from runstore import ObjectStore, errors

SOON = 100  # seconds; two on a quiet machine
NEVER = 590  # seconds; what does not end by the interrupt would go on for so long
LARGE = 20 << 20


def interrupted(call, begun=None):
    """Interrupt *call* once *begun* is set, or after half a second; return the interrupt."""
    started = []

    def send():
        begun.wait(NEVER) if begun is not None else time.sleep(0.5)
        started.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        call()
    ended = time.monotonic()
    sender.join()
    assert ended - started[0] < SOON
    return caught.value


def notes(interrupt):
    return " ".join(getattr(interrupt, "__notes__", []))


@pytest.fixture
def stalled(seaweed_server):
    """Give a function that opens a view on a server which answers nothing, and an event."""
    opened = []

    def make(engine, timeout=NEVER):
        import_module(engine)  # an interrupt would end the import, and say nothing
        if engine == "s3fs":
            import runstore.places._s3._session  # noqa: F401
        begun = threading.Event()
        proxy = FaultProxy(seaweed_server.endpoint)
        proxy.__enter__()
        opened.append(proxy)

        def plan(number, method, path):
            begun.set()
            return faults.stall()

        proxy.plan = plan
        server = replace(seaweed_server, endpoint=proxy.endpoint)
        bucket = seaweed_server.new_bucket()
        view = open_store(server, engine, bucket, timeout).at(namespace="dev", run="r1")
        return view, begun, proxy

    yield make
    for proxy in opened:
        proxy.__exit__()


_VERBS = {
    "get": lambda view: view.get("a"),
    "list": lambda view: view.list(),
    "get_many": lambda view: view.get_many([str(i) for i in range(60)]),
    "delete_many": lambda view: view.delete_many([str(i) for i in range(60)]),
    "runs": lambda view: view.store.runs("dev"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("verb", _VERBS)
def test_reading_from_a_silent_server_ends(stalled, engine, verb):
    """A verb that waits for a server which says nothing ends soon, and leaves no note."""
    view, begun, _ = stalled(engine)
    assert "" == notes(interrupted(lambda: _VERBS[verb](view), begun))


def still(asked, seconds):
    """Check that no server is asked more while *seconds* pass; all engines share the wait."""
    before = {engine: len(proxy.requests) for engine, proxy in asked.items()}
    time.sleep(seconds)
    assert before == {engine: len(proxy.requests) for engine, proxy in asked.items()}


@pytest.mark.extended
def test_a_put_that_nobody_knows_of_is_said(stalled):
    """If the server does not answer, the interrupt has a note with the object's URL."""
    asked = {}
    for engine in ENGINES:
        for value in (1, bytes(1 << 20)):
            view, begun, asked[engine, type(value)] = stalled(engine)
            interrupt = interrupted(lambda view=view, value=value: view.put("a", value), begun)
            said = "/p/dev/r1/a.arrow was interrupted while the server had it in hand"
            assert said in notes(interrupt), engine
    still(asked, 1)  # it is not tried again


@pytest.mark.extended
def test_what_was_being_put_by_put_many_is_said(stalled):
    """The note names objects that may still appear; those not begun never are."""
    asked, values = {}, {str(i): i for i in range(100)}
    for engine in ENGINES:
        view, begun, asked[engine] = stalled(engine)
        interrupt = interrupted(lambda view=view: view.put_many(values), begun)
        assert "were being put when that was interrupted" in notes(interrupt), engine
        assert len(asked[engine].requests) <= 40, engine
    still(asked, 1)


@pytest.mark.extended
def test_an_interrupted_upload_in_parts_never_appears(seaweed_server):
    """A put of several parts is not completed after the interrupt, also by a slow server."""
    direct = {}
    with ExitStack() as stack:
        for engine in ENGINES:
            bucket, begun = seaweed_server.new_bucket(), threading.Event()
            direct[engine] = open_store(seaweed_server, engine, bucket).at(namespace="n", run="r")
            direct[engine].exists("a")
            proxy = stack.enter_context(FaultProxy(seaweed_server.endpoint))

            def plan(number, method, path, begun=begun):
                if method == "PUT":
                    begun.set()
                    return faults.delay(3000)
                return None

            proxy.plan = plan
            server = replace(seaweed_server, endpoint=proxy.endpoint)
            view = open_store(server, engine, bucket, NEVER).at(namespace="n", run="r")
            interrupted(lambda view=view: view.put("a", bytes(LARGE)), begun)
        time.sleep(4)
    assert [] == [engine for engine, view in direct.items() if view.exists("a")]


@pytest.mark.extended
def test_an_interrupt_between_two_attempts_ends_the_attempts(seaweed_server):
    """A put that waits to be tried again is not tried again."""
    asked = {}
    with ExitStack() as stack:
        for engine in ENGINES:
            bucket, begun = seaweed_server.new_bucket(), threading.Event()
            asked[engine] = proxy = stack.enter_context(FaultProxy(seaweed_server.endpoint))

            def plan(number, method, path, begun=begun):
                if number > 4:
                    begun.set()
                return faults.status(503)

            proxy.plan = plan
            server = replace(seaweed_server, endpoint=proxy.endpoint)
            view = open_store(server, engine, bucket, NEVER).at(namespace="dev", run="r1")
            interrupted(lambda view=view: view.put("a", 1), begun)
        still(asked, 3)


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_the_store_goes_on_after_an_interrupt(seaweed_server, engine):
    """The same store works at once when the server does again, and leaves no thread behind."""
    bucket = seaweed_server.new_bucket()
    with FaultProxy(seaweed_server.endpoint) as proxy:
        server = replace(seaweed_server, endpoint=proxy.endpoint)
        view = open_store(server, engine, bucket, NEVER).at(namespace="dev", run="r1")
        view.put("a", 1)
        proxy.plan = lambda number, method, path: faults.stall()
        for _ in range(3):
            interrupted(lambda: view.get_many([str(i) for i in range(20)]))
        proxy.plan = None
        assert 1 == view.get("a")
    end = time.monotonic() + 60  # the connections to the proxy are closed by now
    while _workers() and time.monotonic() < end:
        time.sleep(0.05)
    assert [] == _workers()


def _workers():
    return [one.name for one in threading.enumerate() if one.name.startswith("runstore-get")]


def test_a_value_that_hangs_holds_up_nobody(store):
    """put_many with a value whose own code waits ends soon; its name is in the note."""
    begun, go_on = threading.Event(), threading.Event()

    class Waiting:
        def __reduce__(self):
            begun.set()
            go_on.wait(NEVER)
            return int, ()

    view = store.at(namespace="dev", run="r1")
    interrupt = interrupted(lambda: view.put_many({"slow": Waiting(), "quick": 1}), begun)
    assert "'slow'" in notes(interrupt)
    go_on.set()


_SCRIPT = """
import sys
from runstore import ObjectStore
view = ObjectStore(sys.argv[1], engine=sys.argv[2], timeout=590).at(namespace="dev", run="r1")
view.store.backend._open()
print("ready", flush=True)
{}
"""


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("verb", ["view.get_many(list('abcdef'))", "view.put('a', 1)"])
def test_a_program_ends_when_it_is_interrupted(tmp_path, engine, verb):
    """No thread that waits for a silent server holds up the end of the program."""
    asked = threading.Event()

    def answer(method, path):
        asked.set()
        time.sleep(NEVER)
        return 200, {}, b""

    with Recorder(tmp_path, answer) as server:
        seen = replace_environment(server.endpoint)
        command = [sys.executable, "-c", _SCRIPT.format(verb), "s3://b/p", engine]
        process = subprocess.Popen(command, env=seen, stdout=subprocess.PIPE, stderr=-1, text=True)
        assert asked.wait(300)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=SOON)
        assert "KeyboardInterrupt" in told
        assert -signal.SIGINT == process.returncode


def replace_environment(endpoint):
    own = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_S3": endpoint}
    return os.environ | own


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_that_looks_for_credentials_ends_too(tmp_path, engine):
    """A metadata service that says nothing holds up neither the verb nor the program's end."""
    asked = threading.Event()

    def answer(method, path):
        asked.set()
        time.sleep(NEVER)
        return 200, {}, b""

    with Recorder(tmp_path, answer) as server:
        none = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        seen = os.environ | none | {"AWS_ENDPOINT_URL_S3": server.endpoint}
        seen |= {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.endpoint,
            "AWS_METADATA_SERVICE_TIMEOUT": str(NEVER),
        }
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
            seen.pop(name, None)
        command = [sys.executable, "-c", _SCRIPT.format("view.get('a')"), "s3://b/p", engine]
        process = subprocess.Popen(command, env=seen, stdout=subprocess.PIPE, stderr=-1, text=True)
        assert asked.wait(300)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=SOON)
        assert "KeyboardInterrupt" in told
        assert -signal.SIGINT == process.returncode


def test_the_command_line_says_what_may_still_happen(tmp_path):
    """`runstore put` that is interrupted ends with 130 and the note."""
    asked = threading.Event()

    def answer(method, path):
        asked.set()
        time.sleep(NEVER)
        return 200, {}, b""

    (tmp_path / "a.txt").write_text("x")
    with Recorder(tmp_path, answer) as server:
        command = [sys.executable, "-m", "runstore", "put", "--store", "s3://b/p", "dev/r1/a"]
        process = subprocess.Popen(
            [*command, str(tmp_path / "a.txt")],
            env=replace_environment(server.endpoint),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert asked.wait(300)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=SOON)
    assert 130 == process.returncode
    assert "it may still appear" in " ".join(told.split())


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_a_store_in_use_costs_its_users_a_typed_error(seaweed_server, engine):
    """What other threads do with a store when it is closed ends well or by StoreClosedError."""
    store = ObjectStore(
        f"s3://{seaweed_server.new_bucket()}/p", engine=engine, **options(seaweed_server)
    )
    view, outcomes, started = store.at(namespace="dev", run="r1"), [], threading.Event()
    view.put("a", 1)

    def use():
        while True:
            try:
                outcomes.append(view.get("a"))
            except errors.StoreClosedError:
                return
            except BaseException as exc:  # noqa: BLE001 - it is what is asserted
                outcomes.append(exc)
                return
            if len(outcomes) > 20:
                started.set()

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    assert started.wait(300)
    store.close()
    for user in users:
        user.join(300)
    assert {1} == set(outcomes)
