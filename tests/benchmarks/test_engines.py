import json

import pytest

from benchmarks import engines


@pytest.mark.xdist_group("dask")
@pytest.mark.slow
def test_every_measure_is_taken(tmp_path, capsys):
    """Tiny and untimed: runstore and each engine by itself start, chain and map."""
    output = tmp_path / "engines.json"
    only = ["--only", "threads", "--only", "dask"]
    assert 0 == engines.main(["--quick", *only, "--output", str(output)])
    result = json.loads(output.read_text())
    assert {"threads", "dask"} == set(result["seconds"])
    measures = {"start", "chain", "items"}
    for samples in result["seconds"].values():
        assert measures | {f"{measure}, bare" for measure in measures} == set(samples)
    assert "ours, per item" in capsys.readouterr().out
