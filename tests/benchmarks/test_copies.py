import shutil

import pytest

from benchmarks import copies


def test_a_local_copy_is_measured(capsys):
    """A small one: what the process moved, what the kernel did, and that both are one object."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    assert 0 == copies.main(["--megabytes", "10", "--only", "local"])
    assert "same digest: True, equal: True" in capsys.readouterr().out
