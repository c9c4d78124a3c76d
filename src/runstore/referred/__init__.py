"""Arrow values cut down to what they refer to.

A filtered frame, a slice or a gathered column is often a view of its parent's buffers: it
holds text and numbers that it does not show. What is stored or sent elsewhere is freed of
them here. What fits is shared, not copied.
"""

from runstore.referred._arrays import referred_array
from runstore.referred._batches import pickled_array, referred_batches
from runstore.referred._empty import empty_batch
from runstore.referred._joined import Joined, joined
from runstore.referred._size import nbytes_of

__all__ = [
    "Joined",
    "empty_batch",
    "joined",
    "nbytes_of",
    "pickled_array",
    "referred_array",
    "referred_batches",
]
