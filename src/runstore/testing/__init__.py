"""Contracts as tests, for those who extend runstore.

A codec proves itself by a subclass of `CodecTests` in its own test suite. Needs
pytest.
"""

from runstore.testing._same import assert_same
from runstore.testing.codecs import CodecTests

__all__ = ["CodecTests", "assert_same"]
