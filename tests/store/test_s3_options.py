"""How a store on S3 is opened: engines, options, environment, and what stays secret."""

import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from dataclasses import replace

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from tests.places.s3_ import ENGINES, environment, open_store, options

from runstore import ObjectStore, errors, get_run_context, object_store, run_context, run_workflow
from runstore.places._s3 import split_options
from runstore.places._s3._config import S3Config

SENTINEL = "SENTINEL-9f3b1c"


def test_the_engine_is_seen_and_can_be_chosen(moto_server):
    """repr() names the engine; obstore is preferred; an unknown one is refused."""
    bucket = moto_server.new_bucket()
    for engine in ENGINES:
        store = open_store(moto_server, engine, bucket)
        assert repr(store).startswith(f"ObjectStore('s3://{bucket}/p', S3Backend via {engine}: ")
    assert "via obstore" in repr(open_store(moto_server, None, bucket))
    with pytest.raises(errors.SettingsError, match="is not one of obstore, s3fs"):
        ObjectStore(f"s3://{bucket}", engine="boto3")


@pytest.mark.parametrize("engine", [*ENGINES, None])
def test_a_missing_engine_is_told_with_its_pip_line(engine, monkeypatch):
    """Without the engine, opening raises MissingExtraError that says what to install."""
    import runstore.places._s3._clients as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'runstore\[s3"):
        ObjectStore("s3://bucket", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", ["options", "environment", "profile", "AWS_ENDPOINT_URL"])
def test_each_way_to_reach_a_server_works_on_each_engine(
    seaweed_server, engine, how, monkeypatch, tmp_path
):
    """Options, the environment and profiles are honoured alike."""
    given, profile = {}, tmp_path / "config"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    if how == "options":
        given = options(seaweed_server)
    elif how == "profile":
        profile.write_text(
            f"[profile lab]\nregion = {seaweed_server.region}\n"
            f"endpoint_url = {seaweed_server.endpoint}\n"
            f"aws_access_key_id = {seaweed_server.key}\n"
            f"aws_secret_access_key = {seaweed_server.secret}\n"
        )
        given = {"profile": "lab"}
    else:
        found = environment(seaweed_server)
        if how == "AWS_ENDPOINT_URL":
            found[how] = found.pop("AWS_ENDPOINT_URL_S3")
        for name, value in found.items():
            monkeypatch.setenv(name, value)
    url = f"s3://{seaweed_server.new_bucket()}/p"
    view = ObjectStore(url, engine=engine, **given).at(namespace="dev", run="r")
    view.put("a", [1, 2])
    assert [1, 2] == view.get("a")


@pytest.mark.parametrize("engine", ENGINES)
def test_anonymous_requests_are_refused_like_any_stranger(seaweed_server, engine):
    """anon=True sends no signature; the server says that this is not allowed."""
    store = ObjectStore(
        f"s3://{seaweed_server.new_bucket()}",
        engine=engine,
        anon=True,
        endpoint_url=seaweed_server.endpoint,
    )
    with pytest.raises(errors.AccessDeniedError):
        store.at(namespace="dev", run="r").get("a")


@pytest.mark.parametrize(
    ("url", "given", "said"),
    [
        (f"s3://key:{SENTINEL}@bucket/p", {}, "has credentials in it"),
        ("s3://", {}, "names no bucket"),
        ("s3://../p", {}, "names no bucket"),
        ("s3://bucket/a/../b", {}, "cannot be one of a prefix"),
        ("s3://bucket", {"secrte": SENTINEL}, "secrte is not understood"),
        ("s3://bucket", {"key": SENTINEL}, "go together"),
        ("s3://bucket", {"client_kwargs": {"x": SENTINEL}}, "client_kwargs.x is not understood"),
        ("s3://bucket", {"config_kwargs": {"proxies": {}}}, "config_kwargs.proxies is not"),
        ("s3://bucket", {"endpoint_url": f"http://k:{SENTINEL}@h"}, "has credentials in it"),
        ("s3://bucket", {"endpoint_url": "ftp://x"}, "not an http"),
        ("s3://bucket", {"cache": "/dev/shm/x"}, "keeps no cache"),
        ("s3://bucket", {"token": SENTINEL}, "token was given alone"),
        ("s3://bucket", {"endpoint_url": f" http://h/{SENTINEL}"}, "white space"),
        ("s3://bucket", {"endpoint_url": f"http://h:99999/{SENTINEL}"}, "not a URL"),
        ("s3://bucket", {"endpoint_url": f"http://h?token={SENTINEL}"}, "has a query"),
        ("s3://bucket", {"endpoint_url": "http://"}, "not an http"),
        ("s3://bucket", {"endpoint_url": "http://..:9"}, "names no host"),
        ("s3://bucket", {"endpoint_url": "http://a%zz:9"}, "names no host"),
        ("s3://bucket", {"endpoint_url": "http://-a-"}, "names no host"),
        ("s3://bucket", {"endpoint_url": f"http://{'a' * 64}"}, "names no host"),
        ("s3://bucket", {"endpoint_url": "http://1.2.3.999"}, "names no host"),
        ("s3://bucket", {"endpoint_url": 9000}, "endpoint_url is text"),
        ("s3://bucket", {"key": "k", "secret": f"{SENTINEL}\n"}, "secret has white space"),
        ("s3://bucket", {"key": b"k", "secret": SENTINEL}, "key is text"),
        ("s3://bucket", {"key": np.array([1, 2]), "secret": "s"}, "key is text, .* type ndarray"),
        ("s3://bucket", {"endpoint_url": pd.Series([1, 2])}, "endpoint_url is text"),
        ("s3://bucket", {"profile": pd.NA}, "profile is text, .* type NAType"),
        ("s3://bucket", {"client_kwargs": {"region_name": pd.DataFrame()}}, "region_name is text"),
        (
            "s3://bucket",
            {"config_kwargs": {"s3": {"addressing_style": np.array(["a", "b"])}}},
            "addressing_style must be one of",
        ),
        ("s3://bucket", {"anon": "yes"}, "anon is True or False"),
        ("s3://bucket", {"client_kwargs": "region"}, "client_kwargs is a dict"),
        ("s3://bucket", {"client_kwargs": {"verify": "/"}}, "verify names /"),
        ("s3://bucket", {"client_kwargs": {"verify": "/nowhere"}}, "no such file"),
        ("s3://bucket", {"client_kwargs": {"verify": 1.5}}, "verify is True, False, or"),
        ("s3://bucket", {"s3_additional_kwargs": {"SSEKMSKeyId": "a\nb"}}, "SSEKMSKeyId has"),
        (f"gs://user:{SENTINEL}@bucket", {}, "names a user"),
        (f"sftp://user:a/b?{SENTINEL}@host/x", {}, "is not understood"),
        (f"https://host/x?token={SENTINEL}", {}, "has a query"),
    ],
)
def test_what_is_not_understood_is_refused(url, given, said):
    """A URL or option that is not understood gives one sentence, without the value."""
    with pytest.raises(errors.SettingsError, match=said) as caught:
        ObjectStore(url, **given)
    assert SENTINEL not in f"{caught.value} {caught.value.ref}"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), 1e10])
def test_a_timeout_that_no_engine_can_wait_is_refused(timeout):
    """A timeout is above 0 and at most a week."""
    with pytest.raises(errors.SettingsError, match="timeout"):
        ObjectStore("s3://bucket", timeout=timeout)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("env", "given", "said"),
    [
        ({"AWS_PROFILE": "nobody"}, {}, "there is no AWS profile 'nobody'"),
        ({}, {"profile": "nobody", "key": "k", "secret": "s"}, "no AWS profile 'nobody'"),
        ({"AWS_CONFIG_FILE": "/proc/self/mem"}, {}, "cannot be read"),
        ({"AWS_REGION": "eu west"}, {}, "'eu west' is not a region"),
        ({"AWS_ENDPOINT_URL": f"http://u:{SENTINEL}@h"}, {}, "AWS_ENDPOINT_URL has credentials"),
        ({"AWS_ENDPOINT_URL_S3": "http://h:x"}, {}, "AWS_ENDPOINT_URL_S3 is not a URL"),
        ({"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "cn-north-1"}, {}, "no FIPS endpoint"),
        ({"AWS_CA_BUNDLE": __file__}, {}, "it has no certificates"),
        ({"HTTPS_PROXY": "socks5://h:1"}, {}, "of the kind socks5://"),
        ({"HTTPS_PROXY": "::::"}, {}, "variable HTTPS_PROXY is not the URL of a proxy"),
        ({"https_proxy": f"http://u:{SENTINEL}@h:99999"}, {}, "variable https_proxy is not"),
        ({"ALL_PROXY": " http://127.0.0.1:9"}, {}, "variable ALL_PROXY is not"),
        ({"HTTPS_PROXY": "http://[::1:9"}, {}, "variable HTTPS_PROXY is not"),
        ({"HTTPS_PROXY": "http://..:9"}, {}, "variable HTTPS_PROXY is not"),
    ],
)
def test_an_environment_that_is_not_understood_is_refused(engine, env, given, said, monkeypatch):
    """What is wrong outside of the options is named by the first verb, without secrets."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    store = ObjectStore("s3://bucket", engine=engine, **given)
    with pytest.raises(errors.SettingsError, match=said) as caught:
        store.at(namespace="dev", run="r").put("a", 1)
    assert SENTINEL not in str(caught.value)


def test_a_host_that_botocore_does_not_take_is_told():
    """An underscore in a host's name, which obstore takes, is SettingsError with s3fs."""
    given = {"key": "k", "secret": "s", "endpoint_url": "http://my_host:9"}
    store = ObjectStore("s3://bucket", engine="s3fs", **given)
    with pytest.raises(errors.SettingsError, match=r"http://my_host:9.*engine='obstore'"):
        store.at(namespace="dev", run="r").put("a", 1)


def test_obstore_without_certificates_names_the_setting(monkeypatch):
    """A folder of certificates that is not there is told in one line, with the way out."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    given = {"key": "k", "secret": "s", "endpoint_url": "https://127.0.0.1:9"}
    store = ObjectStore("s3://bucket", engine="obstore", **given)
    with pytest.raises(errors.SettingsError, match=r"AWS_CA_BUNDLE.*SSL_CERT_DIR") as caught:
        store.at(namespace="dev", run="r").put("a", 1)
    assert "\n" not in str(caught.value)


def test_only_listed_options_travel():
    """What is not on the list of public options stays, wherever it was given."""
    public, secret = split_options(
        {
            "key": "k",
            "secret": SENTINEL,
            "endpoint_url": "http://h",
            "client_kwargs": {"region_name": "r", "aws_session_token": SENTINEL},
        }
    )
    assert {"endpoint_url": "http://h", "client_kwargs": {"region_name": "r"}} == public
    assert {"key": "k", "secret": SENTINEL, "token": SENTINEL} == secret
    assert SENTINEL not in repr(S3Config.resolve("bucket", {"key": "k", "secret": SENTINEL}))


def use_the_store():
    object_store.put("a", 1)
    return get_run_context().store.url


@pytest.mark.parametrize("engine", ENGINES)
def test_a_secret_stays_where_it_is(seaweed_server, engine, caplog):
    """No repr, log, error, pickle, context, run record or object has the secret in it."""
    caplog.set_level(logging.DEBUG)
    server, bucket = seaweed_server, seaweed_server.new_bucket()
    store = open_store(server, engine, bucket)
    seen = [repr(store), repr(store.backend), repr(store.address), store.address.model_dump_json()]
    seen += [
        str(pickle.dumps(store)),
        str(pickle.dumps(store.backend)),
        str(cloudpickle.dumps(store)),
    ]
    with run_context(namespace="dev", run="r", store=store) as ctx:
        object_store.put("a", {"x": 1})
        seen += [repr(ctx), str(pickle.dumps(ctx)), ctx.model_dump_json()]
    run = run_workflow(
        {
            "kind": "workflow",
            "metadata": {"name": "w"},
            "spec": {"stages": [{"name": "s", "target": use_the_store}]},
        },
        store=store,
    )
    seen += [repr(run), run.model_dump_json()]
    stranger = open_store(replace(server, key="nobody"), engine, bucket)
    for failing in (
        stranger,
        open_store(replace(server, endpoint="http://127.0.0.1:9"), engine, bucket, 1),
    ):
        with pytest.raises(errors.StorageError) as caught:
            failing.at(namespace="dev", run="r").get("a")
        seen += traceback.format_exception(caught.value)
    client = server.client()
    for item in client.list_objects_v2(Bucket=bucket)["Contents"]:
        answer = client.get_object(Bucket=bucket, Key=item["Key"])
        seen += [str(answer["Body"].read()), json.dumps(answer["Metadata"])]
    seen += [record.getMessage() for record in caplog.records]
    assert [] == [text for text in seen if server.secret in text]


def test_the_same_process_finds_the_store_by_its_address(seaweed_server):
    """from_address() opens with the secrets this process was given; another has its own."""
    store = open_store(seaweed_server, None)
    again = ObjectStore.from_address(pickle.loads(pickle.dumps(store.address)))
    again.at(namespace="dev", run="r").put("a", 1)
    assert 1 == store.at(namespace="dev", run="r").get("a")


_ELSEWHERE = """
import pickle, sys
store = pickle.load(sys.stdin.buffer)
print(store.at(namespace="dev", run="r").get("a"))
"""


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_another_process_uses_its_environment(seaweed_server, engine, monkeypatch):
    """A store that was pickled opens elsewhere with the credentials of that environment."""
    store = open_store(seaweed_server, engine)
    store.at(namespace="dev", run="r").put("a", 42)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed_server.secret)
    command = [sys.executable, "-c", _ELSEWHERE]
    done = subprocess.run(command, input=pickle.dumps(store), capture_output=True, check=True)
    assert b"42" == done.stdout.strip()


def test_opening_a_store_loads_no_client():
    """The clients are imported with the first request, not before."""
    code = """
import sys
from runstore import ObjectStore
store = ObjectStore("s3://bucket/p", key="k", secret="s")
repr(store)
print([m for m in ("s3fs", "obstore", "botocore", "aiobotocore", "fsspec") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"[]" == done.stdout.strip()
