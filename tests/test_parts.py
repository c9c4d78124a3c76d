"""Keys of parts: what may be one, how they are ordered, and the names of their files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import InvalidNameError
from runstore.keys import PartPlace, Place, key_of, parts_folder
from runstore.parts import (
    check_part,
    new_write_id,
    parsed_part_file,
    part_file,
    part_file_start,
    part_in,
    part_order,
    part_text,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
INTS = st.integers(-(2**64) + 1, 2**64 - 1)
KEYS = st.recursive(
    TEXTS | INTS, lambda of: st.lists(of, min_size=1, max_size=3).map(tuple), max_leaves=4
)


@given(KEYS, KEYS)
def test_two_keys_never_have_one_file(one, other):
    """Keys that differ begin their files differently, and no file is another's folder."""
    assert (one == other) == (part_file_start(one) == part_file_start(other))
    assert "/" not in part_file_start(one)


@given(KEYS)
def test_a_file_name_says_its_key(key):
    """The key comes back from the name of the file, or the name says that it is inside."""
    write_id = new_write_id()
    found = parsed_part_file(part_file(key, write_id, "arrow"))
    assert (part_file_start(key), write_id, "arrow") == (found[0], found[2], found[3])
    assert found.part == key or (found.part is None and "%7F" in found.start)


@given(KEYS)
def test_a_key_comes_back_from_its_text(key):
    """Keys are kept as JSON; tuples come back as tuples."""
    found = part_in(part_text(key))
    assert (key, type(key)) == (found, type(found))


@given(st.lists(KEYS, max_size=6))
def test_all_keys_have_one_order(keys):
    """Ints come before texts and these before tuples; equal places mean equal keys."""
    ordered, turned = sorted(keys, key=part_order), keys[::-1]
    assert ordered == sorted(turned, key=part_order)
    kinds = [(int, str, tuple).index(type(key)) for key in ordered]
    assert sorted(kinds) == kinds


@pytest.mark.parametrize(
    "key",
    [None, True, 1.5, 2**64, b"x", [], (), (1, None), "\ud800", "x" * 2000, object()],
    ids=lambda key: type(key).__name__,
)
def test_what_is_no_key_is_refused(key):
    """Bad keys raise one error that says what a key is."""
    with pytest.raises(InvalidNameError, match="part"):
        check_part("put", key)


def test_keys_of_numpy_are_those_of_python():
    """Keys that a group-by gives are kept as plain ints and texts."""
    found = check_part("put", (np.int32(3), np.str_("x")))
    assert ((3, "x"), [int, str]) == (found, [type(item) for item in found])


@pytest.mark.parametrize("name", ["x", "x/y", "x.arrow", "é" * 200, "/".join(["a" * 100] * 5)])
def test_parts_lie_in_the_folder_of_their_object_alone(name):
    """The folder is named like the object's key, hidden, and short enough for S3."""
    place = Place("n" * 40, "r" * 128, name)
    key = key_of(PartPlace(*place, "p" * 900, new_write_id()))
    assert key.startswith(parts_folder(place))
    assert f"{'r' * 128}/.parts/" in key
    assert key.count("/") == parts_folder(place).count("/")
    assert len(key) < 960


@pytest.mark.parametrize(
    ("write_id", "extension"), [("../x", "arrow"), ("a/b", "arrow"), ("a", "sh")]
)
def test_a_write_id_cannot_lead_out_of_the_folder(write_id, extension):
    """What a seal names is checked before it is part of a key."""
    with pytest.raises(ValueError, match="cannot name"):
        part_file("x", write_id, extension)
