"""The one sentence that says what is wrong with an argument, and what it may show."""

import inspect
import re

import pytest

from runstore import ObjectStore, object_store, run_workflow, stage
from runstore.arguments import guided, in_shell, printable, shown
from runstore.errors import InvalidWorkflowError, SettingsError
from runstore.workflows import load_config


@pytest.mark.parametrize(
    ("text", "lines", "cleaned"),
    [
        ("plain é 日本", False, "plain é 日本"),
        ("a\nb\tc", False, r"a\nb\tc"),
        ("a\nb\tc", True, "a\nb\tc"),
        ("a\r\nb", True, "a\\r\nb"),
        ("\ud800", True, r"\ud800"),
        ("\u200b\u2028", True, r"\u200b\u2028"),
    ],
)
def test_printable(text, lines, cleaned):
    """Ends of lines and tabs stay where there may be several lines; twice changes nothing more."""
    assert cleaned == printable(text, lines=lines) == printable(cleaned, lines=lines)


class Loud:
    """Raises if it is asked to show itself."""

    def __repr__(self):
        raise ZeroDivisionError

    __str__ = __repr__


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "None"),
        (True, "True"),
        (-1, "-1"),
        (10**5000, "a very large int"),
        (float("nan"), "nan"),
        ("Deny", "'Deny'"),
        ("a\x1b\u202e", r"'a\x1b\u202e'"),
        ("x" * 1000, f"'{'x' * 40}'…"),
        (b"secret", "bytes"),
        ({"password": 1}, "dict"),
        (Loud(), "Loud"),
        (Loud, "the type Loud"),
        (type("int", (), {"__module__": "mine"})(), "mine.int"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else "value",
)
def test_a_message_shows_short_plain_values_and_names_others_by_type(value, told):
    """Nothing huge, secret or steering is shown, and no code of the value is run."""
    assert told == shown(value)


class NoPath:
    """Says that it is a path, and is none."""

    def __fspath__(self):
        raise OSError("it is closed")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: ObjectStore(NoPath()), SettingsError),
        (lambda: run_workflow(NoPath(), store="memory://x"), InvalidWorkflowError),
        (lambda: load_config(NoPath()), InvalidWorkflowError),
    ],
)
def test_what_gives_no_path_is_told(call, kind):
    """An error of somebody's __fspath__ becomes one of ours, with the cause behind it."""
    with pytest.raises(kind, match=r"the NoPath gives no path \(OSError") as caught:
        call()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_word_of_a_shell_is_quoted_where_it_has_to_be():
    """A plain name stays as it is; what begins as an option follows ``--``."""
    assert "dev/r-1.a" == in_shell("dev/r-1.a")
    assert "'a;b'" == in_shell("a;b")
    assert "-- --debug/r" == in_shell("--debug/r")


def _verb(name, value=None, *, to_name=None, to_scope=None, metadata=None):
    if value == "own":
        len()
    return name


@pytest.mark.parametrize(
    ("args", "keywords", "told"),
    [
        (("x", 1, "y"), {}, "only name and value can be given by position; name the others: to_na"),
        (("x",), {"meta": {}}, "there is no argument 'meta'; did you mean metadata=?"),
        (("x",), {"to": "y"}, "there is no argument 'to'; did you mean to_name= or to_scope=?"),
        (("x",), {"zzz": 1}, "there is no argument 'zzz'; it takes name, value, to_name, to_sco"),
        (("x",), {"name": "y"}, "name is given by position and by name: omit one of them"),
        ((), {}, "name must be given"),
    ],
)
def test_a_call_that_does_not_fit_names_what_is_meant(args, keywords, told):
    """It is the TypeError of Python, in words that help."""
    with pytest.raises(TypeError, match=re.escape(f"_verb: {told}")):
        guided(_verb)(*args, **keywords)


def test_a_guided_function_is_the_same_but_for_that():
    """It returns what it did, has its signature, and its own TypeError comes out as it is."""
    assert "x" == guided(_verb)("x", to_name="y")
    assert inspect.signature(_verb) == inspect.signature(guided(_verb))
    with pytest.raises(TypeError, match=r"len\(\) takes exactly one argument"):
        guided(_verb)("x", "own")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: object_store.copy("x", "y"), "copy: only name can be given by position"),
        (lambda: ObjectStore("memory://a").at(run="r").get("x", 1), "get: only name can be given"),
        (lambda: ObjectStore("memory://a").runs(states="failed"), "did you mean state=?"),
        (
            lambda: stage(retry=3),
            "argument 'retry'; did you mean retry_on= or retries=?",
        ),
        (lambda: run_workflow("w.yaml", inputs={}), "did you mean input=?"),
    ],
)
def test_what_users_call_is_guided(call, told):
    """Verbs in each of their forms, and what makes and runs a workflow."""
    with pytest.raises(TypeError, match=re.escape(told)):
        call()
