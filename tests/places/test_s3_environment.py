"""Whether a change of what a client may take from outside is seen."""

import pytest

from runstore.places._s3._environment import Environment


@pytest.mark.parametrize("named", ["credentials.ini", "folder/credentials.ini", "{here}/a/c.ini"])
def test_a_file_that_appears_is_seen(tmp_path, monkeypatch, named):
    """Also where its path is relative, and where its folder comes with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none" / "config"))
    path = named.format(here=tmp_path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", path)
    before = Environment()
    assert before.is_current()
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("[default]\n")
    assert not before.is_current()
    assert before != Environment()
