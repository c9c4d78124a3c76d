"""The benchmark of parts still runs."""

import pytest

from benchmarks import parts

pytest.importorskip("distributed")


@pytest.mark.slow
def test_a_small_frame_of_dask_stays_in_its_bounds(capsys):
    """One partition, put and read by workers."""
    assert 0 == parts.main(["--megabytes", "64", "--items", "0"])
    assert "64 MiB in 1 partitions" in capsys.readouterr().out
