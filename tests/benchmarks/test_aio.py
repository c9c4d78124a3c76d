from benchmarks import aio


def test_every_place_is_measured(capsys):
    """Few calls in memory and on a disk: a line for each verb, and what the loop's pause was."""
    assert aio.main(["--calls", "20", "--rounds", "1", "--only", "memory", "--only", "disk"]) in (
        0,
        1,
    )
    lines = capsys.readouterr().out.split("\n")
    for label in ("memory, put", "memory, get", "disk, put", "disk, get"):
        assert any(line.startswith(label) for line in lines)
