"""Pages show what the published results give, and nothing that was typed."""

import re
from pathlib import Path

import pytest
from benchmarks._figures import FIGURES
from benchmarks._results import RESULTS, load_all
from benchmarks.cases import CASES

from benchmarks import tables

ROOT = Path(__file__).resolve().parents[2]
MARKERS = re.compile(r"<!-- table: ([^>]+) -->\n")


def result(case, peer, seconds, **more):
    about = {"suite": "headline", "label": peer, "place": "local", "count": 1, "bytes": 256_000_000}
    state = {"filled": 0, "runs": 0, "status": "ok", "error": None, "lacks": f"what {peer} lacks"}
    samples = {step: {"seconds": [value, value, 2 * value]} for step, value in seconds.items()}
    return {"case": case, "peer": peer, "samples": samples, **about, **state, **more}


FILES = {
    "headline": {
        "results": [
            result("frame-floats-256MB", "raw", {"put": 0.2, "get": 0.1}),
            result("frame-floats-256MB", "runstore", {"put": 0.22, "get": 0.002}, lacks=""),
            result("frame-floats-256MB", "pickle", {"put": 0.25, "get": 0.001}),
            result("frame-floats-256MB", "feather", {}, status="failed", error="no `such` thing"),
        ]
    }
}


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_the_committed_results(page):
    """`make bench-tables` would change nothing."""
    assert page.read_text() == tables.rendered(page.read_text(), load_all(RESULTS), page.parent)


def test_every_case_has_a_table_or_a_figure():
    """Nothing is measured and then not shown."""
    shown = set(MARKERS.findall((ROOT / "docs/performance.md").read_text()))
    cases = {case.name for case in CASES if case.suite != "growth"}
    figures = {f"figure {name}" for name in FIGURES}
    assert cases | figures == shown - {"machine", "headline", "budget", "failures", "targets"}


def test_the_headline_puts_runstore_beside_the_limit_and_the_strongest_peer():
    """Medians, ratios, and what the peer does not give."""
    text = "<!-- table: headline -->\n<!-- end of table -->\n"
    _, _, put, get, _ = tables.rendered(text, FILES).splitlines()[1:]
    assert "| put | **220 ms** | raw: 200 ms, 0.91 × | pickle: 250 ms, 1.14 × |" in put
    assert "| get | **2.00 ms** | raw: 100 ms, 50.00 × | pickle: 1.00 ms, 0.50 × |" in get
    assert get.endswith("| what pickle lacks |")


def test_a_table_of_a_case_shows_what_failed():
    """A peer without a figure keeps its line, and its reason stands at the end of the page."""
    text = "<!-- table: frame-floats-256MB -->\n<!-- end of table -->\n"
    assert "| feather | - | - | " in tables.rendered(text, FILES)
    assert "**failed**; what feather lacks |" in tables.rendered(text, FILES)
    text = "<!-- table: failures -->\n<!-- end of table -->\n"
    assert "- feather, `frame-floats-256MB`: failed. `no 'such' thing`" in tables.rendered(
        text, FILES
    )


def test_the_budget_says_what_was_not_measured_and_what_was_not_met():
    """Each promise has a line; one without samples is neither met nor missed."""
    text = "<!-- table: budget -->\n<!-- end of table -->\n"
    lines = tables.rendered(text, FILES).splitlines()
    assert 10 == len(lines) - 4
    assert "| ≤ 1.2 × raw write() | 1.10 × (220 ms, 200 ms) | yes |" in "\n".join(lines)
    assert sum("not measured: " in line for line in lines) == 9
    slow = [
        result("frame-floats-256MB", "raw", {"put": 0.1}),
        result("frame-floats-256MB", "runstore", {"put": 0.2}),
    ]
    page = tables.rendered(text, {"headline": {"results": slow}})
    assert "| 2.00 × (200 ms, 100 ms) | **no** |" in page


def test_each_target_has_a_line_that_says_whether_it_is_met():
    """What is missed is shown as such."""
    text = "<!-- table: targets -->\n<!-- end of table -->\n"
    row = {"group": "small", "what": "1 KiB", "target": "2 ×", "measured": "3.00 ×", "met": False}
    kept = {"targets": {"results": [], "targets": [row, row | {"met": True}]}}
    missed, met = tables.rendered(text, kept).splitlines()[3:5]
    assert "| 1 KiB | 2 × | 3.00 × | **no** | `small` |" == missed
    assert "| 1 KiB | 2 × | 3.00 × | yes | `small` |" == met
    assert "*Not measured yet.*" in tables.rendered(text, {})


@pytest.mark.extended
def test_figures_are_drawn_of_results(tmp_path):
    """Each is an SVG, the same for the same results."""
    from benchmarks.plots import draw

    growth = [
        result(f"growth-size-{size}", "runstore", {"put": size / 1e9}, bytes=size)
        for size in (1000, 1000_000)
    ]
    files = {"growth": {"results": growth}}
    (path,) = draw(files, tmp_path / "one")
    (again,) = draw(files, tmp_path / "two")
    assert "growth-size.svg" == path.name
    assert path.read_text().startswith("<?xml")
    assert path.read_text() == again.read_text()
