"""What a worker of a cluster does with a call."""

import pickle

from runstore.executors._remote import in_brief


class Counted:
    """A value of half a mebibyte that counts how often it is pickled."""

    pickled = 0

    def __reduce__(self) -> tuple[type, tuple[bytes]]:
        Counted.pickled += 1
        return bytes, (bytes(1 << 19),)


def test_only_items_that_are_small_travel_and_large_ones_are_not_pickled_whole() -> None:
    """Whether they are small is known after a mebibyte, however much there is of them."""
    count, pickled = in_brief(list(range(1000)))
    assert (1000, list(range(1000))) == (count, pickle.loads(pickled or b""))
    assert (1000, None) == in_brief([Counted() for _ in range(1000)])
    assert Counted.pickled <= 3
