"""The benchmark of puts by changes still runs."""

import pytest

from benchmarks import delta


@pytest.mark.slow
def test_a_small_table_is_the_same_file(capsys):
    """Of a small table more than 8 % is sent, as pieces have 5 MiB; the rest is as it has to be."""
    delta.main(["--megabytes", "40"])
    assert "equal: True; the same body: True" in capsys.readouterr().out
