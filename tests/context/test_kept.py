"""What the record of a run keeps of input, config and results."""

import json
from collections import OrderedDict
from datetime import UTC, datetime

import pytest

from runstore.context._kept import is_kept, kept_values
from runstore.secret_names import without_secrets
from runstore.workflows._resume_from import is_whole

SECRETS = {
    "password": "hunter2",
    "dbPassword": "hunter2",
    "API_KEY": "hunter2",
    "hf_token": "hunter2",
    "aws-secret-access-key": "hunter2",
    "connection_string": "hunter2",
    "dsn": "postgres://user:hunter2@host/db",
    "tokens": ["hunter2"],
    "ordered": OrderedDict(password="hunter2"),
    "secrets": {"db": "hunter2", "n": 1},
    "credentials": {"all": [{"value": "hunter2"}]},
    "api_keys": [{"value": "hunter2"}],
    "ado": "Server=h;User Id=me;Password=hunter2;",
    "odbc": "Driver={x};Uid=me;pwd = hunter2",
    "libpq": "host=h password=hunter2 dbname=d",
    "azure": "AccountName=a;AccountKey=hunter2==;EndpointSuffix=x",
    "sas_url": "https://h/a?sv=1&sig=hunter2",
    "link": "https://h/a?token=hunter2#top",
    "oauth": ["https://h/a?access_token=hunter2"],
    "presigned": "https://h/a?X-Amz-Date=1&X-Amz-Signature=hunter2&b",
}
HARMLESS = {
    "max_tokens": 512,
    "tokenizer": "bert",
    "token_count": "7",
    "key": "id",
    "keys": ["a", "b"],
    "sort_key": "day",
    "password": None,
    "secret": True,
    "url": "https://host/a?b=c@d",
    "author": "me",
    "tokens": {"pad": 0, "eos": 1},
    "pin": 1234,
    "options": "max_tokens=512;tokenizer=b;bypass=1;password=",
    "page": "https://host/a?key=id&design=2&page_token_count=3",
    "code": "if password == given: pass",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_kept_at_any_depth(name):
    """Its place says so, and of what type it was."""
    config = {name: SECRETS[name], "nested": {"list": [{name: SECRETS[name], "n": 1}]}}
    kept = kept_values(config)
    assert "hunter2" not in json.dumps(kept)
    assert "says that it is a secret" in json.dumps(kept[name])
    assert not is_whole(kept[name])
    assert 1 == kept["nested"]["list"][0]["n"]


def test_what_is_secret_by_its_name_is_left_out_as_a_whole():
    """A dict as a list is: nothing of it is kept, nor shown."""
    for value in ({"value": "x", "n": 1}, {"db": {"value": ["x"]}}, {"x"}):
        assert not is_kept(kept_values({"hf_token": value})["hf_token"])
        assert {"hf_token": "(not shown)"} == without_secrets({"hf_token": value})


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_not_kept_is_not_shown(name):
    """The same names count for the text of a context."""
    assert "hunter2" not in repr(without_secrets({"nested": [{name: SECRETS[name]}]}))


def test_what_only_looks_like_a_secret_is_kept():
    """Numbers, and names that end otherwise, as configs of models have them."""
    assert HARMLESS == kept_values(HARMLESS)
    assert {"nested": [HARMLESS]} == kept_values({"nested": [HARMLESS]})
    assert HARMLESS == without_secrets(HARMLESS)


def test_one_odd_value_costs_no_others():
    """It is replaced by its type and the reason, also inside of dicts and lists."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    kept = kept_values({"a": {"b": {1}, "c": 2}, "d": [{"e": {1}}, {"f": 3}], "when": when})
    assert {"type": "builtins.set", "kept": False} == {
        k: v for k, v in kept["a"]["b"].items() if k != "reason"
    }
    assert 2 == kept["a"]["c"]
    assert not is_kept(kept["d"][0]["e"])
    assert {"f": 3} == kept["d"][1]
    assert when.isoformat() == kept["when"]["text"]


def _shared(levels):
    value = {"x": "y" * 100}
    for _ in range(levels):
        value = {"a": value, "b": value}
    return value


@pytest.mark.parametrize(
    "values",
    [
        {"data": {f"k{i}": "x" * 60_000 for i in range(500)}},
        {"data": [{"x": "y" * 60_000} for _ in range(500)]},
        {f"k{i}": 1 for i in range(200_000)},
        {"data": list(range(1_000_000))},
        {"data": _shared(40)},
        {"data": "x" * 10_000_000},
    ],
    ids=["texts", "list of dicts", "many", "numbers", "shared", "one text"],
)
def test_what_is_kept_is_bounded(values):
    """The record of a run does not grow with its input; what is left out is counted."""
    text = json.dumps(kept_values({**values, "last": 1}))
    assert len(text) < 600_000
    assert "kept" in text


def test_what_contains_itself_is_not_kept():
    """The walk ends."""
    endless = {}
    endless["again"] = endless
    loop = []
    loop.append(loop)
    assert len(json.dumps(kept_values({"a": endless, "b": loop, "c": 1}))) < 600_000
