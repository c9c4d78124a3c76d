"""Texts without the secrets of a run."""

import json
from urllib.parse import quote

import pytest
from tests.context.test_kept import HARMLESS, SECRETS

from runstore.context import RunParameters
from runstore.secret_names import Secrets

TOLD = "could not log in: hunter2 was refused"


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_no_text_of_a_record_is_in_no_error(name):
    """Each secret that records leave out is masked, at any depth."""
    given = {"nested": {"list": [{name: SECRETS[name]}]}}
    told = TOLD.replace("hunter2", "hunter2==") if "hunter2==" in str(given) else TOLD
    assert "could not log in: (not shown) was refused" == Secrets({}, given).masked(told)


@pytest.mark.parametrize("name", HARMLESS)
def test_other_values_stay(name):
    """What records keep is shown in errors, too."""
    text = f"{TOLD}: {HARMLESS[name]}"
    assert text == Secrets({name: HARMLESS[name]}).masked(text)


@pytest.mark.parametrize(
    "written", [str, repr, json.dumps, lambda one: quote(one, safe=""), lambda one: f"a{one}b"]
)
def test_a_secret_is_found_as_it_is_written(written):
    """As it is, as repr and JSON write it, in a URL, and within other text."""
    secret = "p\"a\\s's/ü&\nw0rd"
    told = Secrets({"password": secret}).masked(f"refused {written(secret)}")
    assert "(not shown)" in told
    assert "w0rd" not in told


def test_bytes_are_found_as_they_are_shown():
    """Bytes under a secret name are texts, too."""
    secrets = Secrets({"token": b"\x00raw-token"})
    assert "b'(not shown)'" == secrets.masked(repr(b"\x00raw-token"))


def test_short_secrets_spoil_no_text():
    """A short one is masked as a whole word alone, and one of three characters is not."""
    secrets = Secrets({"password": "test", "token": "a"})
    assert "tests/a.py: (not shown) (not shown)" == secrets.masked("tests/a.py: test test")


def test_the_longest_comes_first():
    """A secret within another one leaves nothing of it."""
    secrets = Secrets({"token": "abcdefgh", "url": "https://me:abcdefgh@host/x"})
    assert "(not shown)" == secrets.masked("https://me:abcdefgh@host/x")


def test_looking_for_secrets_reads_no_key():
    """It is nothing that the stage reads; and nothing shows what they are."""
    read = []
    secrets = Secrets(RunParameters({"token": "abcdefgh"}).telling(read.append))
    assert "(not shown)" == secrets.masked("abcdefgh")
    assert ([], "Secrets()") == (read, repr(secrets))
