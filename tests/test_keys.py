import re
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runstore.errors import InvalidNameError
from runstore.keys import (
    FORMATS,
    Place,
    extension_of,
    folder_of,
    is_shortened,
    key_of,
    name_of,
    record_key,
    scope_folder,
    scope_of,
)

PARTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1),
    st.sampled_from(
        ["a", "b", "a.arrow", "a.ARROW", "a.parquet", "a.json", "a.html", "a.v2", "a.b.arrow"]
    ),
    st.sampled_from(
        ["%41", "%7F", ".a", ".a.b", "a.", "a. b", "a.é", "_shared", "A", "a.v2.arrow"]
    ),
    st.tuples(st.integers(60, 250), st.sampled_from([".v2", ".arrow", ".html", ""])).map(
        lambda part: "x" * part[0] + part[1]
    ),
    st.text("ab.%~_-/é ", min_size=1).map(lambda text: text.replace("/", "")).filter(bool),
    st.integers(60, 250).map(lambda n: "x" * n),
)


def _valid(name):
    parts = name.split("/")
    return len(name.encode()) <= 512 and not {"", ".", ".."} & set(parts)


NAMES = (
    st.lists(PARTS, min_size=1, max_size=4)
    .map("/".join)
    .map(lambda name: unicodedata.normalize("NFC", name))
    .filter(_valid)
)
SCOPES = st.one_of(
    PARTS, st.sampled_from(["prod", "prod-2", "2026-01-01T00:00:00+00:00", "run.1"])
).map(lambda text: unicodedata.normalize("NFC", text))


def key_or_skip(place):
    try:
        return key_of(place)
    except InvalidNameError:
        assume(False)


PLACES = st.builds(Place, SCOPES, st.none() | SCOPES, NAMES)


@given(PLACES, PLACES)
@example(Place("n", "r", "a"), Place("n", "r", "a.arrow"))
@example(Place("n", "r", "a"), Place("n", "r", "a.arrow/b"))
@example(Place("n", "r", "a.json"), Place("n", "r", "a.json/b"))
@example(Place("n", "r", "a.v2"), Place("n", "r", "a.v2.arrow"))
@example(Place("n", "r", "a.v2"), Place("n", "r", "a.v2/b"))
@example(Place("n", "r", "a.html"), Place("n", "r", "a.html/b.html"))
@example(Place("n", "r", "a"), Place("n", "r", "a.ARROW"))
@example(Place("n", "r", "x" * 300), Place("n", "r", "x" * 301))
@example(Place("n", "r", "x" * 300 + ".v2"), Place("n", "r", "x" * 300 + ".v3"))
@example(Place("n", "r", "x" * 300 + ".v2"), Place("n", "r", "x" * 300))
@example(Place("n", "r", "%41"), Place("n", "r", "A"))
@example(Place("prod", "r", "a"), Place("prod-2", "r", "a"))
@example(Place("n", "x", "a"), Place("n", None, "a"))
@example(Place("n", "r", ".parquet"), Place("n", "r", "%2Eparquet"))
def test_keys_are_injective_and_prefix_disjoint(one, other):
    """Two places never share a key, and no key is a folder of another."""
    first, second = key_or_skip(one), key_or_skip(other)
    if one == other:
        assert first == second
    else:
        assert first != second
        assert not second.startswith(f"{first}/")
        assert not first.startswith(f"{second}/")


@given(PLACES)
def test_a_key_stays_in_its_scope_and_alphabet(place):
    """A key lies in its scope's folder, in few characters, nothing hidden, short enough for S3."""
    key = key_or_skip(place)
    folder = scope_folder(place.namespace, place.run)
    assert key.startswith(folder)
    assert 2 == folder.count("/")
    assert re.fullmatch(
        r"(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})+(?:/(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})+)+", key
    )
    parts = key.split("/")
    assert not [part for part in parts if part.startswith(".") or len(part) > 217]
    assert len(key) <= 1024 - 60


@given(NAMES)
def test_a_name_comes_back_from_its_key(name):
    """The name is read off its key, unless a part was too long."""
    key = key_or_skip(Place("n", "r", name)).removeprefix("n/r/")
    assert is_shortened(key) or name == name_of(key)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
@example("a%2farrow.arrow")
@example("My File.arrow")
@example("%41.arrow")
@example("a.txt")
@example("a.b/c.arrow")
@example(".arrow")
@example("a%FF.arrow")
def test_a_foreign_key_has_no_name_or_its_own(key):
    """What is not the key of a name is nobody's; it never stands for another name."""
    name = name_of(key)
    assert name is None or f"n/r/{key}" == key_of(Place("n", "r", name))


@given(SCOPES)
def test_a_scope_comes_back_from_its_folder(scope):
    """A namespace or run is read off its folder's name."""
    try:
        folder = scope_folder("n", scope)
    except InvalidNameError:
        assume(False)
    assert scope == scope_of(folder.split("/")[1])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("features", "features.arrow"),
        ("train/features", "train/features.arrow"),
        ("features.parquet", "features.parquet"),
        ("a.PARQUET", "a.PARQUET"),
        ("report.html", "report.html"),
        ("model.v2", "model.v2"),
        ("a.tar.gz", "a.tar.gz"),
        ("a.arrow", "a.arrow.arrow"),
        ("a.Arrow", "a.Arrow.arrow"),
        ("a.b.arrow", "a.b.arrow.arrow"),
        ("a.", "a..arrow"),
        ("a. b", "a.%20b.arrow"),
        ("a.é", "a.%C3%A9.arrow"),
        ("x.json/y", "x%2Ejson/y.arrow"),
        ("é b.v-2", "%C3%A9%20b.v-2"),
        ("a." + "b" * 17, "a." + "b" * 17 + ".arrow"),
        ("2026-01-01T00:00:00.25+00:00", "2026-01-01T00%3A00%3A00.25%2B00%3A00.arrow"),
        ("v1.2/x", "v1%2E2/x.arrow"),
        (".env", "%2Eenv.arrow"),
        (".json", "%2Ejson.arrow"),
        ("é b", "%C3%A9%20b.arrow"),
        ("a=b*?", "a%3Db%2A%3F.arrow"),
        ("~", "%7E.arrow"),
    ],
)
def test_keys_are_readable(name, key):
    """A path shows what it holds: these names have these keys."""
    assert f"dev/run-1/{key}" == key_of(Place("dev", "run-1", name))
    assert f"dev/_shared/{key}" == key_of(Place("dev", None, name))


@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_every_format_keeps_its_extension(extension):
    """A name that ends in a format's extension is stored under exactly that name."""
    assert f"n/r/x.{extension}" == key_of(Place("n", "r", f"x.{extension}"))
    assert extension == extension_of(f"a/x.{extension}")


@given(st.text("ab.%~_-é ", min_size=1, max_size=20), st.text("abAB01_-", min_size=1, max_size=16))
def test_a_name_with_an_extension_is_its_own_key(stem, extension):
    """Whatever the extension is, but for ``.arrow``: nothing is appended to it."""
    name = unicodedata.normalize("NFC", f"{stem}.{extension}")
    key = key_of(Place("n", "r", name))
    assert extension.lower() == extension_of(name)
    assert key.endswith(f".{extension}")
    assert key.count(".arrow") == name.count(".arrow")


def test_a_key_asks_for_no_installed_package(monkeypatch):
    """The key of a name is found without a look at what is installed."""
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    key_of.cache_clear()
    assert "n/r/x.geojson" == key_of(Place("n", "r", "x.geojson"))


def test_records_stand_beside_the_runs():
    """A run's record has a key of its own, which no object can have."""
    assert "dev/_runs/r%3A1.json" == record_key("dev", "r:1")
    assert "dev/_runs/" == record_key("dev", "")
    with pytest.raises(InvalidNameError):
        key_of(Place("dev", "_runs", "x"))


@pytest.mark.parametrize(
    ("prefix", "folder"), [("", ""), ("a", ""), ("a/", "a/"), ("a.b/c/d", "a%2Eb/c/")]
)
def test_a_prefix_has_a_folder(prefix, folder):
    """Names with a prefix are looked for in the folder of the prefix."""
    assert folder == folder_of(prefix)


@pytest.mark.parametrize("name", ["x" * 400 + ".json", "é/" * 110 + "é"])
def test_what_does_not_fit_is_refused(name):
    """A name too long for its format or for any key raises before anything else."""
    with pytest.raises(InvalidNameError):
        key_of(Place("n", "r", name))
