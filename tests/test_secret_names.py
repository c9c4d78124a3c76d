"""Texts without the secrets of a run."""

import json
import traceback
from urllib.parse import quote

import pytest
from tests.context.test_kept import HARMLESS, SECRETS

from runstore.context import RunParameters
from runstore.secret_names import Secrets, is_secret

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


PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n"
    "-----END PRIVATE KEY-----\n"
)
TEXTS = {
    "password of a URL": ({"url": "postgres://u:p%40ss@host/db"}, "p@ss"),
    "value of a query": ({"url": "https://h/x?token=abc%2Fdefgh+12"}, "abc/defgh 12"),
    "repr with both quotes": ({"password": "it's-secret"}, r"it\'s-secret"),
    "quoted by '": ({"dsn": "host=h password='my secret pw 1' user=u"}, "my secret pw 1"),
    "with an escape": ({"dsn": r"host=h password='it\'s mine 1' user=u"}, "it's mine 1"),
    'quoted by "': ({"dsn": 'Server=x;Password="semi;colon99";'}, "semi;colon99"),
    "doubled": ({"dsn": 'Server=x;Password="se""mi;colon99";'}, 'se"mi;colon99'),
    "in braces": ({"dsn": "Driver={x};PWD={semi;colon99};"}, "semi;colon99"),
    "JSON of letters": ({"password": 'pä"ss-wörd'}, json.dumps('pä"ss-wörd', ensure_ascii=False)),
    "JSON in JSON": ({"password": 'ab"cd\\ef9'}, json.dumps(json.dumps('ab"cd\\ef9'))),
    "lower hex": ({"password": "ab/cd+ef=gh/1"}, "ab%2fcd%2bef%3dgh%2f1"),
    "bare token": ({"headers": {"Authorization": "Bearer abcdefgh12345"}}, "abcdefgh12345"),
    "after an escape": ({"password": "hunter2222"}, repr("\nhunter2222")),
    "in a URL": ({"password": "hunter2222"}, "%3Dhunter2222"),
    "in a word": ({"token": "hf_1234567890abcdef"}, "xhf_1234567890abcdefx"),
    "a line": ({"private_key": PEM}, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_secret_is_found_in_other_forms(kind):
    """Decoded, unquoted, without its scheme, by the line: nothing of it stays."""
    given, told = TEXTS[kind]
    left = Secrets(given).masked(f"refused: {told} at the door")
    assert "(not shown)" in left
    letters = "".join(left.replace("(not shown)", "").split())
    assert "refused:atthedoor" == "".join(c for c in letters if c not in "\"'\\nx%3D")


def test_no_line_of_a_key_is_in_the_traceback_of_a_group():
    """There a frame stands before each line."""
    try:
        raise ExceptionGroup("bad keys", [ValueError(f"cannot load {PEM}")])
    except ExceptionGroup as exc:
        told = "".join(traceback.format_exception(exc))
    masked = Secrets({"private_key": PEM}).masked(told)
    assert [False, False] == [line in masked for line in PEM.splitlines()[1:3]]
    assert "cannot load" in masked


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"password": "line"}, 'File "a.py", line 3, in line'),
        ({"token": "None"}, "got None: TypeError"),
        ({"password": "password"}, "in get_password_hash: password authentication failed"),
        ({"password": "postgres"}, "psycopg says that postgresql is gone"),
        ({"password": "12345678"}, "row 1234567890"),
        ({"note": "please set password = None"}, "None of none"),
        ({"credentials": {"user": "admin", "region": "us-east-1"}}, "admin in us-east-1"),
        ({"secrets": [{"userName": "admin", "password": "hunter2"}]}, "admin in us-east-1"),
    ],
)
def test_words_stay(given, text):
    """Words that stand for nothing, parts of other words, and what is public by its own name."""
    assert text == Secrets(given).masked(text)


def test_what_secrets_are_for_is_no_field():
    """Where no name in a dict is that of a secret, each value is one."""
    assert "(not shown)!" == Secrets({"secrets": {"database": "hunter2"}}).masked("hunter2!")


def test_a_long_text_is_not_sought_as_a_whole():
    """Only the password in it is; and a secret of many lines costs no more than its length."""
    document = "lorem ipsum & dolor\n" * 20_000 + "the form sends password=x&y= and pwd=hunter22"
    secrets = Secrets({"document": document})
    assert "lorem ipsum & dolor (not shown)" == secrets.masked("lorem ipsum & dolor hunter22")
    assert sum(map(len, secrets._forms)) < 100
    many = Secrets({"private_key": "".join(f"{n:032x}\n" for n in range(10_000))})
    assert sum(map(len, many._forms)) < 3 * 10_000 * 33
    assert "(not shown)" == many.masked(f"{77:032x}")


def test_an_option_that_is_in_itself_stays_in_the_process():
    """JSON cannot hold it, and it is not looked through without end; nor is a very deep list."""
    within = {"a": 1}
    within["b"] = within
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (within, deep):
        assert is_secret("option", value)
    assert not is_secret("option", {"a": {"b": 1}})
