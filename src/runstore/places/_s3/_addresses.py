"""A connection to a host with several addresses, some of which may not answer.

A host may have an IPv6 address where the way to it is broken: nothing answers, and nothing says so.
So the next address is tried soon, beside the first. https://www.rfc-editor.org/rfc/rfc8305
"""

import errno
import os
import select
import socket
import time
from collections import Counter
from typing import Any

__all__ = ["Addresses"]

_NEXT = 0.25  # seconds until the next address is tried, too


class Addresses:
    """Where a server can be reached.

    Args:
        host: A name or an address.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._last: Any = None  # the address that answered, which is tried first from then on

    def connected(self, end: float) -> socket.socket:
        """Return a connection to the first address that answers.

        Args:
            end: When it has to be there, by `time.monotonic`. The question for the addresses
                itself is not ended.

        Raises:
            OSError: There is none, or (`TimeoutError`) not in time.
        """
        waiting, under_way, answers = self._ordered(), dict[int, socket.socket](), select.poll()
        error: OSError = OSError(errno.EADDRNOTAVAIL, f"no address of {self._host}")
        try:
            while waiting or under_way:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if waiting:
                    family, kind, protocol, _, address = waiting.pop(0)
                    try:
                        begun = _begun(family, kind, protocol, address)
                    except OSError as exc:  # such as no IPv6 at all
                        error = exc
                        continue
                    under_way[begun.fileno()] = begun
                    answers.register(begun, select.POLLOUT)
                for number, _ in answers.poll((min(left, _NEXT) if waiting else left) * 1000):
                    answers.unregister(number)
                    found = under_way.pop(number)
                    code = found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        self._last = found.getpeername()
                        return found
                    found.close()
                    error = OSError(code, os.strerror(code))
            raise error
        finally:
            for other in under_way.values():
                other.close()

    def _ordered(self) -> list[Any]:
        """Return the addresses: the one that answered first, else the kinds in turn."""
        found = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)
        seen, ranks = Counter[int](), dict[Any, int]()
        for each in found:
            ranks[each] = -1 if each[4] == self._last else seen[each[0]]
            seen[each[0]] += 1
        return sorted(ranks, key=ranks.__getitem__)


def _begun(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    """Return a connection that is being made.

    Raises:
        OSError: It cannot even be begun.
    """
    begun = socket.socket(family, kind, protocol)
    begun.setblocking(False)
    code = begun.connect_ex(address)
    if code in (0, errno.EINPROGRESS):
        return begun
    begun.close()
    raise OSError(code, os.strerror(code))
