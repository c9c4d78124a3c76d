import json

from benchmarks import s3


def test_every_case_and_client_is_measured_on_s3(tmp_path, capsys):
    """Tiny and untimed: each client puts and gets each case, and the result file says so."""
    output = tmp_path / "s3.json"
    assert 0 == s3.main(["--quick", "--output", str(output)])
    result = json.loads(output.read_text())
    clients = {"runstore, obstore", "runstore, s3fs", "boto3", "s3fs", "obstore"}
    assert {"256 MB", "300 × 1 KiB"} == set(result["seconds"])
    for measured in result["seconds"].values():
        assert clients == set(measured)
        for samples in measured.values():
            assert {"put", "get"} <= set(samples)
    assert "runstore, obstore" in capsys.readouterr().out
