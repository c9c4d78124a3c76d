"""The benchmark of many runs still runs, and finds out what clean-up removes too much."""

import pytest

from benchmarks import runs
from runstore.store import GcPlan

pytestmark = pytest.mark.extended


def test_the_rest_is_compared_by_hashes(capsys):
    """Half of the runs go, and exactly what was planned."""
    assert 0 == runs.main(["--runs", "12", "--objects", "2", "--only", "local"])
    # Six runs of two objects go, each with its record.
    assert (
        "18 objects and records gone, exactly as planned: True; 18 left" in capsys.readouterr().out
    )


def test_what_is_removed_too_much_is_found(capsys, monkeypatch):
    """The exit code says so."""
    real = GcPlan.apply

    def apply(plan):
        report = real(plan)
        store = plan._store
        store.backend.delete(next(iter(store.backend.list("bench/_runs/"))).key)
        return report

    monkeypatch.setattr(GcPlan, "apply", apply)
    assert 1 == runs.main(["--runs", "12", "--objects", "2", "--only", "local"])
    assert "as planned: False" in capsys.readouterr().out
