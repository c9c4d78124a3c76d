"""file: URLs as RFC 8089 has them: this host's files, by an absolute path."""

from pathlib import Path

import pytest

from runstore import ObjectStore
from runstore.context import StoreAddress, absolute_url
from runstore.errors import SettingsError
from runstore.places import open_backend


@pytest.mark.parametrize(
    "url",
    [
        "file:///data/store",
        "file://localhost/data/store",
        "file://LocalHost/data/store/",
        "file:/data/store",
        "FILE:///data/store",
        "/data/store",
    ],
)
def test_this_host_is_meant(url):
    """All of these are one place."""
    assert "file:///data/store" == absolute_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file://nas/data", "names the host 'nas'.*file:///nas/data for the absolute path"),
        ("file://127.0.0.1/data", "names the host '127.0.0.1'"),
        ("file://data", "names the host 'data'"),
        ("file://", "has no path"),
        ("file://localhost", "has no path"),
        ("file:data", "absolute path"),
    ],
)
def test_what_is_not_this_hosts_is_refused(url, said, tmp_path, monkeypatch):
    """The error says how to write what was perhaps meant, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=said):
        ObjectStore(url)
    monkeypatch.setenv("RUNSTORE_URL", url)
    with pytest.raises(SettingsError, match=said):
        ObjectStore()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3:/bucket/p", r"begins with 's3:/', .* did you mean s3://bucket/p\?"),
        ("s3:bucket", r"did you mean s3://bucket\?.* as ./s3:… or as an absolute path"),
        ("S3//bucket", r"begins with 'S3//', .* did you mean s3://bucket\?"),
        ("s3:/key:secret@bucket", r"did you mean s3://bucket/prefix\?"),
        (Path("s3://bucket/p"), r"did you mean s3://bucket/p\?"),
        ("memory:", r"did you mean memory://name\?"),
        ("file//data", r"did you mean file:///data\?"),
        ("gs:/x", "did you mean gs://bucket/prefix?"),
        (" ", "blank"),
    ],
)
def test_a_mistyped_url_is_no_folder(text, said, tmp_path, monkeypatch):
    """What begins like a URL and is none is refused, wherever it stands, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=said) as caught:
        ObjectStore(text)
    monkeypatch.setenv("RUNSTORE_URL", str(text))
    with pytest.raises(SettingsError, match=said):
        ObjectStore()
    assert "secret" not in str(caught.value)
    assert [] == list(tmp_path.iterdir())


def test_a_local_path_may_begin_like_a_url(tmp_path, monkeypatch):
    """With ./ in front, as an absolute path, or where no URL could begin so, it is a path."""
    monkeypatch.chdir(tmp_path)
    assert f"file://{tmp_path}/s3:bucket" == absolute_url("./s3:bucket")
    assert f"file://{tmp_path}/s3:bucket" == absolute_url(tmp_path / "s3:bucket")
    assert f"file://{tmp_path}/s3/x" == absolute_url("s3/x")
    assert f"file://{tmp_path}/run 1: x" == absolute_url("run 1: x")


def test_what_cannot_be_a_host_is_a_relative_path(tmp_path, monkeypatch):
    """A dot and a tilde in the place of the host are what they are in a path."""
    monkeypatch.chdir(tmp_path)
    assert f"file://{tmp_path}/data" == absolute_url("file://./data")
    assert f"file://{Path.home()}/data" == absolute_url("file://~/data")


def test_an_address_that_was_not_made_absolute_is_refused():
    """An address made by hand is not taken relative to wherever the process is."""
    address = StoreAddress(url="file://localhost/data")
    for open_it in (ObjectStore.from_address, lambda a: open_backend(a.url)):
        with pytest.raises(SettingsError, match="no absolute path"):
            open_it(address)
