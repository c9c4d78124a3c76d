"""The pages of the browser view, as a server gives them."""

import html
import queue
import re
import shlex
import threading

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

from starlette.testclient import TestClient

from runstore import ObjectStore, run_workflow
from runstore.context import new_run
from runstore.errors import StorageError
from runstore.pages import address
from runstore.queries import latest_run
from runstore.runs._index import WORTH, Indexed
from runstore.ui import _objects, application
from runstore.ui._site import Site

EVIL = "<script>alert(1)</script>\x1b[31m\u202e\u200f"


def load():
    from runstore import object_store

    object_store.put("table", pd.DataFrame({"x": np.arange(100), "evil": [EVIL] * 100}))
    object_store.put("report.html", f"<h1>{EVIL}</h1>")
    object_store.put("dot.png", b"\x89PNG\r\n")
    object_store.put("doc", {"a": 1})
    object_store.put(f"evil {'<img src=x>'}", EVIL)
    object_store.put("shared", {EVIL: EVIL}, scope="namespace")


def fail(_):
    raise ValueError(EVIL)


WORKFLOW = {
    "metadata": {"name": "train"},
    "spec": {
        "stages": [
            {"name": "load", "target": load},
            {"name": "check", "target": fail, "depends_on": "load"},
        ]
    },
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Give a store with a failed run, its name, and a browser that may look."""
    store = ObjectStore(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNSTORE_URL", raising=False)
        run = run_workflow(
            WORKFLOW,
            input={"note": EVIL},
            namespace="dev",
            source=EVIL,
            store=store,
            raise_on_failure=False,
        )
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    return store, run.name, client


def test_every_page_that_is_linked_is_there_and_inert(shown):
    """From the first page on, every address works, and no text of users is more than text."""
    _, run, client = shown
    seen, left = set(), ["/", "/diff", "/search?q=e", address("dev", run)]
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        assert 200 == answer.status_code, path
        if path.startswith("/raw") or "html" not in answer.headers["content-type"]:
            continue
        assert not re.search("<script>|<img src=x>|\x1b|\u202e|\u200f", answer.text), path
        found = re.findall(r'(?:href|src|hx-get)="(/[^"#]*)', answer.text)
        left += [one.replace("&amp;", "&") for one in found]
    assert len(seen) > 15


def test_a_run_shows_stages_errors_and_objects(shown):
    """With states, and what went wrong."""
    _, run, client = shown
    page = client.get(address("dev", run)).text
    for text in ("load", "check", "failed", "ValueError", "table", "100 × 2", "\\x1b[31m"):
        assert text in page


def test_a_run_that_goes_on_with_another_leads_to_it(shown):
    """It says what was taken over, and from where."""
    store, run, client = shown
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNSTORE_URL", raising=False)
        second = run_workflow(
            WORKFLOW,
            input={"note": EVIL},
            namespace="dev",
            store=store,
            resume=run,
            raise_on_failure=False,
        )
    page = client.get(address("dev", second.name)).text
    assert f'href="{address("dev", run)}"' in page
    assert "taken over" in page


def test_a_line_for_a_shell_is_one_command(tmp_path):
    """Names may hold what a shell would carry out, or take as an option."""
    store = ObjectStore(tmp_path)
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    for namespace, run in [("dev", "r;touch INJ1"), ("dev", "$(touch INJ1)'"), ("--debug", "r")]:
        store.at(namespace=namespace, run=run).put("x; touch INJ2", 1)
        page = client.get(address(namespace, run, "x; touch INJ2")).text
        (line,) = re.findall('data-copy="(runstore show .*?)"', page)
        words = shlex.split(html.unescape(line), comments=True)
        assert f"{namespace}/{run}/x; touch INJ2" == words[-1]
        assert ["runstore", "show", "--"][: len(words) - 1] == words[:-1]


def test_runs_without_a_record_come_behind_those_that_have_one(tmp_path):
    """Far away they take a listing of all runs, so the page does not wait for them."""
    store = ObjectStore(tmp_path)
    store.write_run(new_run("flow", namespace="dev", name="recorded"))
    store.at(namespace="dev", run="bare-1").put("x", 1)
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    page = client.get(address("dev")).text
    assert ("recorded" in page, "bare-1" in page) == (True, False)
    assert f'hx-get="{address("dev", only="bare")}" hx-trigger="load"' in page
    found = client.get(address("dev", only="bare")).text
    assert ("bare-1" in found, ">recorded<" in found) == (True, False)
    assert "bare-1" not in client.get(address("dev", only="bare", text="other")).text
    store.at(namespace="dev", run="bare-1").delete("x")
    assert "Each run has a record" in client.get(address("dev", only="bare")).text
    assert 404 == client.get(address("none", only="bare")).status_code


def test_the_index_of_runs_is_written_behind_the_answer(tmp_path, monkeypatch):
    """To write it may take many requests, for which no page waits."""
    store = ObjectStore(tmp_path)
    for number in range(WORTH):
        store.write_run(new_run("flow", namespace="dev", name=f"r{number}"))
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    calls, save = [], Indexed.save

    def slowly(one):
        calls.append(one)
        begun.set()
        assert go_on.wait(120)
        save(one)
        ended.set()

    monkeypatch.setattr(Indexed, "save", slowly)
    for _ in range(2):  # the second one does not begin another
        assert 200 == client.get(address("dev", workflow="flow")).status_code
    assert begun.wait(120)
    assert 1 == len(calls)
    go_on.set()
    assert ended.wait(120)


def test_what_is_done_behind_an_answer_can_be_done_again():
    """A task that fails leaves the way free for the next one."""
    site, done = Site(None, None), queue.Queue()

    def task():
        done.put(threading.current_thread())
        raise StorageError("it failed", "x")

    raised = []
    hook, threading.excepthook = threading.excepthook, lambda told: raised.append(told.exc_type)
    try:
        for _ in range(2):
            site.afterwards("dev", task)
            done.get(timeout=120).join(120)
    finally:
        threading.excepthook = hook
    assert [StorageError, StorageError] == raised


def test_a_run_without_a_record_is_reached_from_its_namespace(tmp_path):
    """As one of run_context; with names that are inert in the page and in a shell."""
    store = ObjectStore(tmp_path)
    for i in range(51):
        store.at(namespace="my dev", run=f"{EVIL[:17]}{i:02}".replace("/", "")).put("x", 1)
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    page = client.get(address("my dev")).text
    links = re.findall('href="(/ns/my%20dev/run/[^"]+)"', page)
    assert (50, True) == (len(links), "<code>runstore ls &#39;my dev&#39;</code>" in page)
    assert (False, True) == ("<script>alert" in page, "no record" in page)
    assert "no record" in client.get(links[0]).text
    assert links[1] in client.get("/search", params={"q": "alert"}).text
    assert "no record" not in client.get(address("my dev", state="failed")).text


def test_rows_are_paged_on_the_server(shown):
    """Each part of a table is a page of its own."""
    _, run, client = shown
    page = client.get(address("dev", run, "table", start=75)).text
    assert "rows 75 to 99 of 100" in page
    assert ">99<" in page
    assert ">74<" not in page


def test_columns_are_profiled_on_request(shown):
    """Nulls, distinct values, range and a histogram."""
    _, run, client = shown
    page = client.get(address("dev", run, "table", only="profile")).text
    assert "histogram" in page
    assert "<td><bdi>99</bdi></td>" in page


def test_a_part_of_a_page_that_fails_says_why(shown, monkeypatch):
    """The rest of the page stays: a section has its error in it, a bug has a page."""
    store, run, client = shown
    page = client.get(address("dev", run, "doc", only="profile"))
    assert (200, True) == (page.status_code, "is no table" in page.text)

    def broken(*_):
        raise TypeError(EVIL)

    monkeypatch.setattr(_objects.queries, "profiled", broken)
    patient = TestClient(
        application(store, token=None),
        base_url="http://localhost:7420",
        raise_server_exceptions=False,
    )
    answer = patient.get(address("dev", run, "table", only="profile"))
    assert (500, True) == (answer.status_code, "TypeError: &lt;script&gt;" in answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_lineage_is_drawn_on_request(shown):
    """What made an object, as far as the records tell."""
    _, run, client = shown
    page = client.get(address("dev", run, "table", only="lineage")).text
    assert f'href="{address("dev", run)}"' in page
    assert 'class="graph"' in page


def test_a_stored_page_is_handed_out_in_a_sandbox(shown):
    """It can neither run nor load anything; other files are not handed out at all."""
    _, run, client = shown
    raw = f"/raw{address('dev', run, 'report.html')}"
    policy = client.get(raw).headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert f'<iframe sandbox="" src="{raw}"' in client.get(address("dev", run, "report.html")).text
    assert 400 == client.get(f"/raw{address('dev', run, 'table')}").status_code


def test_what_is_not_there_is_a_page_that_says_so(shown):
    """With the status of what went wrong."""
    _, run, client = shown
    for path, status in [
        (address("dev", "none"), 404),
        (address("none"), 404),
        (address("dev", run, "none"), 404),
        ("/ns/_runs", 400),
        ("/nothing", 404),
    ]:
        answer = client.get(path)
        assert status == answer.status_code, path
        assert "<h1>" in answer.text


def test_what_an_address_asks_for_and_is_not_there_is_told(shown):
    """Numbers that are none, pages behind the last one, states that no run has."""
    _, run, client = shown
    for start in ("-1", "x", "9" * 400, "１", "0x10"):
        answer = client.get(address("dev", run, "table", start=start))
        assert (400, True) == (answer.status_code, "must be a number" in answer.text)
    for path, sentence in [
        (address("dev", page="x"), "must be a number"),
        (address("dev", page=9), "there is no page 9"),
        (address("dev", run, page=9), "there is no page 9"),
        (address("dev", state="bad"), "it is one of pending, "),
    ]:
        answer = client.get(path)
        assert (400, True) == (answer.status_code, sentence in answer.text), path


def test_the_latest_run_has_an_address(shown):
    """It leads to that of the run, with all that stands behind it."""
    store, _, client = shown
    run = latest_run(store, "dev")
    for given, target in [
        ("/ns/dev/run/_latest", address("dev", run)),
        (
            "/ns/dev/run/_latest/o/a%20b?start=1&x=%0a",
            f"{address('dev', run)}/o/a%20b?start=1&x=%0a",
        ),
        ("/raw/ns/dev/run/_latest/o/dot.png", f"/raw{address('dev', run)}/o/dot.png"),
    ]:
        answer = client.get(given, follow_redirects=False)
        assert (303, target) == (answer.status_code, answer.headers["location"])
    assert 404 == client.get("/ns/none/run/_latest").status_code


def test_a_damaged_object_has_a_page(tmp_path):
    """The page of its run is there, too."""
    store = ObjectStore(tmp_path)
    store.at(namespace="dev", run="r1").put("x", pd.DataFrame({"a": range(100)}))
    file = tmp_path / "dev" / "r1" / "x.arrow"
    good = file.read_bytes()
    file.unlink()
    file.write_bytes(good[:100] + b"\xff" * 400 + good[500:])
    client = TestClient(application(store, token=None), base_url="http://localhost:7420")
    assert 200 == client.get(address("dev", "r1")).status_code
    assert client.get(address("dev", "r1", "x")).status_code in (200, 422)
    file.write_bytes(good[:-40])
    answer = client.get(address("dev", "r1", "x"))
    assert (422, True) == (answer.status_code, "What is stored is damaged" in answer.text)


def test_two_runs_and_two_objects_are_compared(shown):
    """By the same data as the command line."""
    store, run, client = shown
    store.at(namespace="dev", run="other").put("doc", {"a": 2})
    page = client.get("/diff", params={"run": [f"dev/{run}", "dev/other"]}).text
    assert "doc" in page
    assert "changed" in page
    page = client.get("/diff", params={"run": [f"dev/{run}/doc", "dev/other/doc"]}).text
    assert "The values differ" in page
    page = client.get("/diff", params={"run": [f"dev/{run}", "dev/other/doc"]}).text
    assert 'role="alert"' in page
    page = client.get("/diff", params={"run": ["dev/_latest/doc", "dev/other/doc"]}).text
    assert "The values differ" in page
    page = client.get("/diff", params={"run": ["dev", "other"]}).text
    assert "names no run: write NAMESPACE/RUN" in page
