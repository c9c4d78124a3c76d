import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

from benchmarks import card, ui

pytestmark = pytest.mark.extended


def test_each_page_of_the_browser_view_is_measured(capsys):
    """A few runs on a disk: every page answers, with its time, and the budgets are beside them."""
    ui.main(
        [
            "--runs",
            "6",
            "--objects",
            "2",
            "--gigabytes",
            "0.001",
            "--rounds",
            "1",
            "--only",
            "local",
        ]
    )
    printed = capsys.readouterr().out
    assert "mapped" in printed
    for what in ("namespaces", "runs that have failed", "profile of the table", "diff of two runs"):
        assert what in printed


def test_the_card_of_a_run_is_measured(capsys):
    """Objects of each kind are made, shown on the card, and removed."""
    card.main(["--objects", "7", "--gigabytes", "0.001", "--rounds", "1", "--only", "local"])
    printed = capsys.readouterr().out
    assert "a run of 7 objects" in printed
    assert "local" in printed
