"""Which requests a test makes of its store, and the check that these are the expected ones."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from runstore.arguments import check_choice, unfit
from runstore.keys import PARTS, SHARED, name_of, scope_of

__all__ = ["KINDS", "Request", "Requests", "name_at"]

KINDS = ("copy", "delete", "get", "head", "list", "put")


class Request(NamedTuple):
    """One request.

    Attributes:
        kind: One of `KINDS`. Also the range of an object is a ``get``.
        name: The object; of a listing how the names begin.
    """

    kind: str
    name: str


class Requests:
    """The requests for objects that were made of the test's store, in their order.

    They are those of a store on S3 with small objects. Requests for records of runs are no part
    of them.

    Attributes:
        made: All of them so far.
    """

    def __init__(self) -> None:
        self.made: list[Request] = []

    @contextmanager
    def __call__(self, *, at_most: int | None = None, **expected: int) -> Iterator[list[Request]]:
        """Fail if the block makes other requests than *expected*.

        Args:
            at_most: How many there may be, of any kind, instead of exact numbers.
            expected: The number of each kind: ``put``, ``get``, ``head``, ``list``, ``copy``,
                ``delete``. Of a kind that is not named there must be none.

        Returns:
            The requests of the block, once it has ended.

        Raises:
            InvalidRequestError: There is no such kind.
            AssertionError: There were others; the message lists them. If the block ends by an
                error nothing is looked at.
        """
        __tracebackhide__ = True
        for kind, count in expected.items():
            check_choice("assert_requests", "kind", kind, KINDS)
            if type(count) is not int or count < 0:
                raise unfit("assert_requests", kind, "a number of requests", count)
        if at_most is not None and (type(at_most) is not int or at_most < 0 or expected):
            meant = "a number of requests, without other arguments"
            raise unfit("assert_requests", "at_most", meant, at_most)
        start, block = len(self.made), list[Request]()
        yield block
        block += self.made[start:]
        found = Counter(one.kind for one in block)
        if at_most is None:
            is_met = found == Counter(expected)
            wanted = _told(Counter(expected))
        else:
            is_met, wanted = len(block) <= at_most, f"at most {at_most}"
        if not is_met:
            lines = "".join(f"\n  {kind} {name}" for kind, name in block)
            raise AssertionError(f"requests: expected {wanted}, made {_told(found)}{lines}")


def _told(counts: "Counter[str]") -> str:
    return ", ".join(f"{kind}={counts[kind]}" for kind in KINDS if counts[kind]) or "none"


def name_at(key: str) -> str | None:
    """Return the name of the object, or of the listing, that a key stands for; None for records."""
    namespace, _, rest = key.partition("/")
    scope, slash, below = rest.partition("/")
    if slash and scope != SHARED and scope_of(scope) is None:
        return None
    below = below.removeprefix(f"{PARTS}/")
    if not below:
        return f"{namespace}/{scope}".rstrip("/")
    return name_of(below) or _of_part(below)


def _of_part(below: str) -> str:
    """Return the name of the object that a part belongs to; the text itself if it is no part."""
    return name_of(below.rpartition("/")[0]) or below
