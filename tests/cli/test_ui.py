"""`ui` and `card`: the store in a browser, and a run as one file."""

import http.client
import signal
import socket
import subprocess
import sys

import pytest

from runstore.context import new_run

pytest.importorskip("jinja2")
pytest.importorskip("uvicorn")


@pytest.fixture
def run(disk):
    """Give the default store a run with an object."""
    disk.write_run(new_run("train", namespace="dev", name="r1"))
    disk.at(namespace="dev", run="r1").put("doc", {"answer": 42})


def test_a_card_is_one_file(cli, run, tmp_path):
    """It has the run and its objects, and replaces no file unless it is told to."""
    assert 0 == cli("card", "dev/_latest", "-o", "run.html").code
    assert "answer" in (tmp_path / "run.html").read_text()
    again = cli("card", "dev/r1", "-o", "run.html")
    assert 0 != again.code
    assert "--force" in again.err or "exists" in again.err
    assert 0 == cli("card", "dev/r1", "-o", "run.html", "--force").code


def test_a_card_goes_to_stdout(cli, run, tmp_path):
    """As ``get -o -`` does; no file is made."""
    ended = cli("card", "dev/r1", "-o", "-")
    assert (0, "") == (ended.code, ended.err)
    assert ended.out.startswith("<!doctype html>")
    assert not (tmp_path / "-").exists()


def test_a_card_is_of_a_run(cli, run):
    """An object has none, and neither has a run that is not there."""
    for ref in ("dev", "dev/r1/doc", "dev/none"):
        ended = cli("card", ref, "-o", "x.html")
        assert 0 != ended.code
        assert ended.err.startswith("error:")


def test_without_a_token_nobody_else_may_look(cli, run):
    """A server for others, without a token, is refused before it listens."""
    ended = cli("ui", "--no-token", "--host", "0.0.0.0")
    assert 0 != ended.code
    assert "--no-token" in ended.err


def test_a_port_that_is_taken_is_told(cli, run):
    """With another option as the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli("ui", "--port", str(port))
    assert 2 == ended.code
    assert f"error: ui: port {port} on 127.0.0.1 is in use: choose another --port" in ended.err


def test_a_store_whose_folder_is_not_there_is_told(cli, monkeypatch):
    """On stderr, as ``ls`` does; the view starts, since a run may make the folder."""
    served = []
    monkeypatch.setattr("runstore.ui.serve", lambda store, **_: served.append(store.url))
    ended = cli("ui", "--store", "/nonexistent/x")
    assert (0, ["file:///nonexistent/x"]) == (ended.code, served)
    assert "nothing is stored in file:///nonexistent/x: there is no such folder" in ended.err


def test_a_missing_extra_is_named(cli, run, monkeypatch):
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "runstore[ui]" in cli("ui").err


def test_the_server_prints_its_address_and_ends_by_an_interrupt(run):
    """The token is in the address; without it there is nothing to see."""
    words = [sys.executable, "-m", "runstore", "ui", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ui:
        try:
            address = ui.stdout.readline().strip()
            host, _, query = address.removeprefix("http://").partition("/")
            answers = []
            for path in ("/", f"/{query}"):
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request("GET", path)
                answers.append(connection.getresponse().status)
                connection.close()
            assert [401, 303] == answers
            ui.send_signal(signal.SIGINT)
            _, err = ui.communicate(timeout=60)
        finally:
            ui.kill()
    assert 0 == ui.returncode, err
    assert "Traceback" not in err
