"""Storage options from the query of a URL and from settings: a command line reaches a server."""

import json

import pytest
from tests.cli.conftest import cli  # noqa: F401 - a fixture
from tests.places.s3_ import environment

from runstore import ObjectStore, run_context, run_workflow
from runstore.errors import SettingsError
from runstore.places import merge_options


@pytest.fixture
def keys(moto_server, monkeypatch):
    """Have the credentials where they belong, and nothing else."""
    given = environment(moto_server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, given[name])
    return moto_server


def test_the_query_of_a_url_has_options(keys, cli):  # noqa: F811
    """One word reaches a server, in code, in a run and on the command line; the URL is plain."""
    bucket = keys.new_bucket()
    url = f"s3://{bucket}/p?endpoint_url={keys.endpoint}&region_name=us-east-1&anon=false"
    store = ObjectStore(url)
    assert f"s3://{bucket}/p" == store.url
    store.at(namespace="dev", run="r1").put("x", 1)
    with run_context(namespace="dev", run="r2", store=url) as ctx:
        assert f"s3://{bucket}/p" == ctx.store.url
        assert keys.endpoint == ctx.store.options["endpoint_url"]
    ended = cli("--store", url, "ls", "dev/r1")
    assert 0 == ended.code
    assert "x" in ended.out
    stage = {"name": "s", "target": lambda: ObjectStore().put("made", 1).name}
    run = run_workflow({"metadata": {"name": "w"}, "spec": {"stages": [stage]}}, store=url)
    assert ["made"] == [info.name for info in store.at(namespace="default", run=run.name).list()]


@pytest.mark.parametrize("where", ["runstore.toml", "pyproject.toml", "RUNSTORE_STORAGE_OPTIONS"])
def test_settings_have_options_by_scheme(keys, where, tmp_path, monkeypatch):
    """Every store of the scheme has them, the default one, too; what code says is stronger."""
    bucket = keys.new_bucket()
    toml = f'endpoint_url = "{keys.endpoint}"\nclient_kwargs = {{ region_name = "eu-west-1" }}\n'
    if where == "runstore.toml":
        (tmp_path / where).write_text(f"[storage_options.s3]\n{toml}")
    elif where == "pyproject.toml":
        (tmp_path / where).write_text(f"[tool.runstore.storage_options.s3]\n{toml}")
    else:
        given = {"endpoint_url": keys.endpoint, "client_kwargs": {"region_name": "eu-west-1"}}
        monkeypatch.setenv(where, json.dumps({"s3": given}))
    monkeypatch.setenv("RUNSTORE_URL", f"s3://{bucket}/p")
    ObjectStore().at(namespace="dev", run="r1").put("x", 1)
    given = {"pickle": "allow", "durable": False, "timeout": 30.0}  # nothing else is looked up
    named = ObjectStore(f"s3://{bucket}/p", region_name="us-east-1", **given)
    assert 1 == named.at(namespace="dev", run="r1").get("x")
    assert "us-east-1" == named.backend._open().client._config.region
    other = ObjectStore(f"s3://{bucket}/p?endpoint_url=http://127.0.0.1:1", timeout=1)
    assert "http://127.0.0.1:1" == other.address.options["endpoint_url"]
    ObjectStore("memory://x", **given).at(namespace="dev", run="r1").put("x", 1)


@pytest.mark.parametrize("name", ["secret", "key", "token", "password", "sse_customer_key"])
def test_secrets_are_neither_in_a_url_nor_in_settings(name, tmp_path):
    """They are refused with the way out, and not repeated."""
    with pytest.raises(SettingsError, match=f"{name}.*environment") as caught:
        ObjectStore(f"s3://bucket/p?{name}=SENTINEL")
    assert "SENTINEL" not in str(caught.value)
    (tmp_path / "runstore.toml").write_text(f'[storage_options.s3]\n{name} = "SENTINEL"\n')
    with pytest.raises(SettingsError, match=f"{name}.*environment") as caught:
        ObjectStore("s3://bucket/p")
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("endpoint_url", "write .name=value"),
        ("anon=true&anon=false", "twice"),
        ("nothing=1", "is not understood"),
        ("anon=maybe", "True or False"),
    ],
)
def test_a_wrong_query_is_told(query, said):
    """The message names what is wrong."""
    with pytest.raises(SettingsError, match=said):
        ObjectStore(f"s3://bucket/p?{query}")


def test_one_thing_said_twice_is_said_by_the_stronger():
    """Whatever the spelling, the weaker one goes; the rest of both stays."""
    weaker = {"client_kwargs": {"region_name": "a", "verify": False}, "StorageClass": "X"}
    stronger = {"region": "b", "s3_additional_kwargs": {"StorageClass": "Y"}}
    expected = {"client_kwargs": {"verify": False}, **stronger}
    assert expected == merge_options("s3://b", weaker, stronger)
    both = merge_options("s3://b", weaker, {"client_kwargs": {"region_name": "b"}})
    assert {"region_name": "b", "verify": False} == both["client_kwargs"]
    assert {"a": 1, "b": 2} == merge_options("gs://b", {"a": 1, "b": 1}, {"b": 2})
