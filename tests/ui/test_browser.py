"""The browser view in a real Chromium: nothing calls out or runs, and everybody can use it.

`make test-ui` installs what it needs. With ``SHOTS=folder`` it keeps a picture of every page.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore, run_workflow
from runstore.context import new_run
from runstore.pages import address, run_card

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parents[2] / ".browser/node_modules/axe-core/axe.min.js"
SHOTS = os.environ.get("SHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make test-ui"),
    # The driver of the browser leaves sockets and loops to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

EVIL = "<script>alert(1)</script><img src='http://evil.example/x'>\x1b[31mred\u202eevil\u200f"
PAGE = """<h1>Flights</h1><p>80 % were on time.</p><script>document.title = "pwned";
fetch("http://evil.example/f")</script><img src="http://evil.example/i.png" alt="">
<link rel=stylesheet href="http://evil.example/s.css"><meta http-equiv=refresh
content="1;url=http://evil.example/r"><form action="http://evil.example/">
<input autofocus></form>"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><script>alert(1)</script>
<image href="http://evil.example/i.png"/><rect width="40" height="40" fill="teal"/></svg>"""


def flights():
    """Read what has flown."""
    from runstore import object_store

    rows, rng = 20_000, np.random.default_rng(1)
    delay = rng.gamma(1.2, 20, rows) - 15
    frame = {
        "month": rng.integers(1, 13, rows),
        "carrier": rng.choice(["UA", "B6", "EV", "DL", "AA"], rows),
        "origin": pd.Categorical(rng.choice(["JFK", "LGA", "EWR"], rows)),
        "dep_delay": np.where(rng.random(rows) < 0.1, np.nan, delay),
        "when": pd.date_range("2013-01-01", periods=rows, freq="h"),
        "on_time": rng.random(rows) < 0.8,
    }
    object_store.put("flights", pd.DataFrame(frame), metadata={"source": "nycflights13"})
    return ["JFK", "LGA", "EWR"]


def weather():
    """Read how the weather was."""
    from runstore import object_store

    object_store.put("weather.csv", pd.DataFrame({"hour": range(24), "temp": np.arange(24) * 0.7}))


def fit(origin):
    """Fit the model of one airport."""
    from runstore import object_store

    object_store.put(f"model/{origin}", {"airport": origin, "coefficients": [1.5, -0.25]})
    return len(origin)


def report(models, _):
    """Put what is to be looked at."""
    import logging

    from matplotlib.figure import Figure

    from runstore import object_store

    figure = Figure(figsize=(5, 3))
    figure.subplots().bar(["JFK", "LGA", "EWR"], [12.1, 10.3, 15.1])
    object_store.put("delays.png", figure)
    object_store.put("report.html", PAGE)
    object_store.put("picture.svg", SVG.encode())
    object_store.put("pickled", [type, len])
    logging.getLogger("report").warning("written, %s", EVIL)
    return {"mean_delay": 12.5}


def broken(*_):
    """Fail."""
    raise ValueError(f"the sky fell {EVIL}")


def workflow(last):
    """Return the workflow of the pictures, which ends in one of two ways."""
    stages = [
        {"name": "flights", "target": flights},
        {"name": "weather", "target": weather},
        {"name": "fit", "target": fit, "type": "parameterized", "depends_on": ["flights"]},
        {"name": "report", "target": last, "depends_on": ["fit", "weather"]},
    ]
    return {"metadata": {"name": "flights"}, "spec": {"stages": stages}}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Give a store with runs of every kind, and the names of two of them."""
    root = tmp_path_factory.mktemp("stored") / "store"
    if SHOTS:  # the pictures show it
        root = Path(tempfile.gettempdir()) / "flights"
        shutil.rmtree(root, ignore_errors=True)
    store = ObjectStore(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        how = {"namespace": "prod", "store": store, "source": "schedule"}
        config = {"features": 12, "model": {"depth": 3}}
        good = run_workflow(workflow(report), input={"year": 2013}, config=config, **how)
        bad = run_workflow(
            workflow(broken), input={"year": 2014}, config=config, raise_on_failure=False, **how
        )
    store.tag(good.name, ["reviewed"], namespace="prod")
    at = datetime(2026, 11, 20, tzinfo=UTC)
    for i in range(60):
        run = new_run(["train", "score"][i % 2], namespace="dev", source=["cron", "cli"][i % 3 > 0])
        begun = at + timedelta(minutes=7 * i)
        end = begun + timedelta(seconds=40 + 61 * (i * 7 % 11))
        state = "failed" if i % 9 == 4 else "finished"
        told = {"name": f"{run.workflow}-{begun:%Y%m%dT%H%M%S}.000Z-{i:08x}", "state": state}
        store.write_run(run.model_copy(update={**told, "started_at": begun, "finished_at": end}))
    shared = store.at(namespace="prod")
    shared.put("best", {"airport": "JFK"}, scope="namespace")
    odd = store.at(namespace="odd <b>\u202ename", run="r:1+2")
    odd.put("evil", pd.DataFrame({EVIL: [EVIL, None], "x": [1.5, 2]}), metadata={EVIL: EVIL})
    odd.put("<img src=x onerror=alert(1)>\u202e", EVIL)
    return store, good.name, bad.name


@pytest.fixture(scope="module")
def served(stored):
    """Give the address of a server of the command line, with its token."""
    store = stored[0]
    words = [sys.executable, "-m", "runstore", "--store", str(store.url), "ui", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait(60)


class Foreign:
    """Another host, which notes who calls."""

    def __init__(self):
        self.calls = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.calls.append(connection.recv(1000))

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def foreign():
    """Give a host behind the name evil.example."""
    host = Foreign()
    yield host
    host.close()


@pytest.fixture(scope="module")
def chromium(foreign, served):
    """Give a browser for which evil.example is that host, and rebind.example our server."""
    port = served.split(":")[2].partition("/")[0]
    rules = f"MAP evil.example 127.0.0.1:{foreign.port}, MAP rebind.example 127.0.0.1:{port}"
    flags = [
        *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update"),
        f"--host-resolver-rules={rules}",
    ]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@contextmanager
def looking(chromium, scheme="light", **how):
    """Open a page that notes what it asked for, and what must not happen."""
    context = chromium.new_context(
        color_scheme=scheme, viewport={"width": 1100, "height": 760}, **how
    )
    page = context.new_page()
    page.foreign, page.dialogs = [], []
    page.on("requestfinished", lambda r: page.foreign.append(r.url) if _is_foreign(r) else None)
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    try:
        yield page
    finally:
        context.close()


def _is_foreign(request):
    return not request.url.startswith(("http://127.0.0.1:", "file:", "data:"))


def violations(page):
    """Return what axe-core finds wrong with a page."""
    session = page.context.new_cdp_session(page)  # it runs in spite of the page's policy
    session.send("Runtime.evaluate", {"expression": f"{AXE.read_text()};0"})
    found = session.send(
        "Runtime.evaluate",
        {
            "expression": "axe.run(document, {iframes: false}).then(r => JSON.stringify("
            "r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200))])))",
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    return json.loads(found["result"]["value"])


def every_page(stored):
    """Return the address of each kind of page, by the name of its picture."""
    _, good, bad = stored
    odd, run = "odd <b>\u202ename", "r:1+2"
    return {
        "namespaces": "/",
        "runs": address("dev"),
        "runs-filtered": address("dev", state="failed"),
        "run": address("prod", good),
        "run-failed": address("prod", bad),
        "shared": address("prod", "_shared"),
        "table": address("prod", good, "flights"),
        "columns": address("prod", good, "flights", only="profile"),
        "lineage": address("prod", good, "flights", only="lineage"),
        "csv": address("prod", good, "weather.csv"),
        "document": address("prod", good, "model/JFK"),
        "picture": address("prod", good, "delays.png"),
        "svg": address("prod", good, "picture.svg"),
        "html": address("prod", good, "report.html"),
        "pickled": address("prod", good, "pickled"),
        "diff": f"/diff?run=prod/{bad}&run=prod/{good}",
        "diff-table": f"/diff?run=prod/{bad}/flights&run=prod/{good}/flights",
        "search": "/search?q=fl",
        "odd-run": address(odd, run),
        "odd-table": address(odd, run, "evil"),
        "odd-text": address(odd, run, "<img src=x onerror=alert(1)>\u202e"),
        "missing": address("prod", "none"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_inert_and_for_everybody(chromium, served, stored, scheme, foreign):
    """No request to another host, no script but ours, and axe-core finds nothing wrong."""
    wrong = {}
    with looking(chromium, scheme) as page:
        page.goto(served)
        assert "token" not in page.url
        for name, path in every_page(stored).items():
            page.goto(served.partition("/?")[0] + path)
            page.wait_for_load_state("networkidle")
            if name == "html":
                page.wait_for_timeout(1500)  # longer than its refresh to another host waits
            wrong[name] = violations(page)
            text = page.content()
            assert not any(mark in text for mark in ("\x1b", "\u202e", "\u200f")), name
            assert "pwned" not in page.title()
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"ui-{name}-{scheme}.png")
        assert ([], []) == (page.foreign, page.dialogs)
    assert {} == {name: found for name, found in wrong.items() if found}
    assert [] == foreign.calls


def test_the_view_is_used_by_the_keyboard_alone(chromium, served):
    """The first key leads past the head, a slash into the search, Enter through it."""
    with looking(chromium) as page:
        page.goto(served)
        page.keyboard.press("Tab")
        assert "#main" in page.evaluate("document.activeElement.href")
        page.keyboard.press("/")
        assert "search" == page.evaluate("document.activeElement.id")
        page.keyboard.type("score")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=score")
        assert page.locator("main li a").count()


def test_lists_change_as_one_types_and_rows_as_one_pages(chromium, served, stored):
    """Parts of a page are loaded without the rest, and the address tells what is shown."""
    base = served.partition("/?")[0]
    with looking(chromium) as page:
        page.goto(served)
        page.goto(base + address("dev"))
        page.locator("#text").press_sequentially("score")
        page.wait_for_url("**text=score**")
        assert set(page.locator("#runs tbody td:nth-child(3)").all_inner_texts()) == {"score"}
        page.goto(base + address("prod", stored[1], "flights"))
        playwright.expect(page.locator("#lineage svg")).to_be_visible()
        page.get_by_role("link", name="Last rows").click()
        playwright.expect(page.locator("#rows")).to_contain_text("19,999")
        playwright.expect(page.locator("#profile .histogram").first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_every_link_works_without_scripts(chromium, served, stored, scripts):
    """Filters and pages are forms and links."""
    with looking(chromium, java_script_enabled=scripts) as page:
        page.goto(served)
        page.goto(served.partition("/?")[0] + address("dev"))
        page.locator("select[name=state]").select_option("failed")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**state=failed**")
        assert set(page.locator("#runs .badge").all_inner_texts()) == {"failed"}


def test_a_foreign_name_for_this_computer_is_refused(chromium, served):
    """A page of another site gets nothing, though its name leads to our server."""
    with looking(chromium) as page:
        page.goto(served)
        answer = page.goto(f"http://rebind.example/?{served.partition('?')[2]}")
        assert 421 == answer.status


def test_a_card_opens_without_a_network(chromium, stored, tmp_path, foreign):
    """From a file, with nothing wrong, and nothing that runs or calls out."""
    store, good, _ = stored
    file = tmp_path / "run.html"
    file.write_text(run_card(store, good, namespace="prod"))
    for scheme in ("light", "dark"):
        with looking(chromium, scheme, offline=True) as page:
            page.goto(file.as_uri())
            assert [] == violations(page)
            assert ([], []) == (page.foreign, page.dialogs)
            assert page.locator("figure img").first.evaluate("i => i.naturalWidth") > 0
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"ui-card-{scheme}.png", full_page=True)
    assert [] == foreign.calls
