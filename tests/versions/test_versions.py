"""The values that `make test-versions` takes between versions, by the one that is installed."""

from tests.versions._trip import installed, read, write
from tests.versions._values import VALUES


def test_each_value_is_read_as_it_was_written(tmp_path):
    """With the same versions nothing differs, so that what differs is because of them."""
    write(tmp_path, "here")
    outcomes = read(tmp_path, "here")
    assert {} == {name: outcome for name, outcome in outcomes.items() if outcome != "same"}
    assert 50 <= len(outcomes) <= len(VALUES)
    assert all(installed().values())
