import unicodedata

import pytest

from runstore.errors import InvalidNameError
from runstore.names import check_name, check_namespace, check_run

GOOD_NAMES = [
    "a", "A", "features", "a/b", "a/b/c/d", "a.b", ".hidden", "_private", "-", "a b", " a ", "é",
    "日本語", "🦆", "a=b", "a:b", "a+b", "*?[x]", "~", "~/x", "%2F", "a%b", "\\", "a\\b", "C:x",
    "file:x", "a?versionId=1", "...", "a/...", "CON", "x" * 512, "é" * 256, "a.arrow", "a.parquet",
]  # fmt: skip
"""Names that are allowed."""

BAD_NAMES = [
    "", ".", "..", "/", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", "a\x00b", "a\nb", "\t",
    "\x7f", "\x85", "\ud800", "a\udfffb", "x" * 513, "é" * 257,
    unicodedata.normalize("NFD", "é"), "\u212b",
]  # fmt: skip
"""Names that are not; the last two look like other names."""


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_is_returned_unchanged(name):
    """A name that keeps the rules is passed through."""
    assert name == check_name(name)


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_bad_name_is_refused(name):
    """A name that breaks a rule raises InvalidNameError, a ValueError that can be shown."""
    with pytest.raises(InvalidNameError) as caught:
        check_name(name)
    assert isinstance(caught.value, ValueError)
    str(caught.value).encode()


@pytest.mark.parametrize("name", [None, 1, b"a", ("a",)])
def test_a_name_is_text(name):
    """Anything but a str is refused with its type."""
    with pytest.raises(InvalidNameError, match=type(name).__name__):
        check_name(name)


@pytest.mark.parametrize("check", [check_namespace, check_run])
@pytest.mark.parametrize(
    "text", ["dev", "prod-2", "2026-11-22T23:15:01+00:00", "a.b", "é", "x" * 128]
)
def test_a_good_scope_is_returned_unchanged(check, text):
    """Orchestrators' run ids with colons and pluses can be namespaces and runs."""
    assert text == check(text)


@pytest.mark.parametrize("check", [check_namespace, check_run])
@pytest.mark.parametrize("text", ["", "_runs", "_", "a/b", ".", "..", "x" * 129, "a\x00", "\ud800"])
def test_a_bad_scope_is_refused(check, text):
    """A leading underscore is the store's own, and a scope is one part."""
    with pytest.raises(InvalidNameError):
        check(text)


def test_what_is_wrong_with_a_scope_is_said():
    """The message names the character, as nearly all others are accepted."""
    with pytest.raises(InvalidNameError, match="namespace 'a/b' contains '/'"):
        check_namespace("a/b")
    with pytest.raises(InvalidNameError, match=r"run '\.\.' stands for a folder"):
        check_run("..")
    assert "münchen 2" == check_namespace("münchen 2")
