"""The gates of a local store: folders for the temporary files of small objects.

Small puts take no lock. They make their temporary file in the gate of their key, and rename it
from there. Many keys share a gate. A put with ``if_match`` needs exclusive access to the key
between its check of the version and its rename. So it closes the gate: it removes the folder with
all its files. Then every small put in progress fails at its next step, and is written again
under the lock of the key.
"""

import os
import time
import zlib
from contextlib import suppress

from runstore.lifetime import unique_id

__all__ = ["GATES", "close_gate", "gate_of", "open_gate", "slot_of"]

GATES = ".runstore-new"
"""The folder of the gates."""

_WHO = 0o2777  # who may do what in a folder, and that its group is that of all in it

_SLOTS = 16  # keys that share one wait for each other, for the time of a rename

# Seconds between two tries to remove a folder. In one of NFS a file stays as long as it is open.
_PAUSES = (*(0.0,) * 100, *(0.01,) * 100, None)


def slot_of(key: str) -> int:
    """Return which of the locks and gates is that of *key*."""
    return zlib.crc32(key.encode()) % _SLOTS


def gate_of(root: str, key: str) -> str:
    """Return the folder of the temporary files of *key*, if it is a small object."""
    return f"{root}/{GATES}/{zlib.crc32(key.encode()) % _SLOTS:x}"


def close_gate(gate: str) -> bool:
    """Let no small put through *gate* any more, and say whether it was open.

    The caller holds the lock of its keys alone, so nobody makes it again.

    Raises:
        OSError: It cannot be closed.
    """
    aside = f"{os.path.dirname(gate)}/.{unique_id()}"
    try:
        os.rename(gate, aside)  # from here on nothing is made in it
    except FileNotFoundError:
        return False
    for pause in _PAUSES:
        try:
            for name in os.listdir(aside):
                with suppress(OSError):  # it came through, just before
                    os.unlink(f"{aside}/{name}")
            os.rmdir(aside)
        except FileNotFoundError:  # a sweeper was quicker
            break
        except OSError:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            break
    return True  # in a folder that is gone, nothing can be made or renamed


def open_gate(gate: str) -> None:
    """Make *gate* unless it is there, for whoever may write to the store.

    The caller holds the lock of its keys.
    """
    gates = os.path.dirname(gate)
    for folder in (gates, gate):
        try:
            os.mkdir(folder)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return  # the store is gone, or not there yet
        with suppress(OSError):
            os.chmod(folder, os.stat(os.path.dirname(gates)).st_mode & _WHO)
