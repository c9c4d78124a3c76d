"""Any filesystem of fsspec as a place: what it can promise is promised, the rest is refused.

_backend     the contract of `runstore.places.Backend`, on a filesystem
_writing     one object up: natively, by a hidden file that is renamed, or torn where allowed
_calls       calls of a filesystem: with a deadline, past its caches, anew after a fork
_dialects    what kinds of filesystems there are, and what each promises: the table
_probe       what a filesystem that is in no table does when it is tried
_opening     a URL or a filesystem of the user's as a filesystem and a path in it
_failures    what filesystems raise, as our errors
"""

from runstore.places._fsspec._backend import FsspecBackend
from runstore.places._fsspec._dialects import table
from runstore.places._fsspec._opening import Described, describe, open_place

__all__ = ["Described", "FsspecBackend", "describe", "open_place", "table"]
