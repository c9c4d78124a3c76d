"""What an orchestrator may keep by itself: a few plain values."""

from typing import Any

from runstore.integrations._carried import is_small


class _Long(list[Any]):
    def __iter__(self) -> Any:
        raise AssertionError("it was copied before it was counted")


def test_a_long_list_is_not_copied_to_be_counted():
    """Its length says that it is none of the small ones, and so do the bits of a number."""
    assert not is_small([1, _Long([None] * 1000)])
    assert is_small([None] * 999)
    assert is_small({"a": [1, 2.5], 3: ("x", b"y")})
    assert not is_small(dict.fromkeys(range(500), 1))
    assert is_small(1 << 1000)
    assert not is_small(1 << 40_000)
