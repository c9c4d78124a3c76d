from benchmarks import runs


def test_looks_at_runs_and_their_clean_up_are_measured(capsys):
    """A few runs on a disk: exactly what was planned is gone."""
    assert 0 == runs.main(["--runs", "12", "--objects", "2", "--only", "local"])
    assert "exactly as planned: True" in capsys.readouterr().out
