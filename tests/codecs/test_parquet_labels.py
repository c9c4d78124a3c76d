"""What a library cannot write to Parquet names the part; a fault of ours is told as it is."""

import pytest
from tests.test_faults import raised

from runstore.codecs._parquet_labels import InexactError, of_library


def test_a_fault_of_ours_is_not_told_as_a_library_s() -> None:
    """The same error in a line of pandas is the library's, and names the part."""
    with pytest.raises(AssertionError), of_library("column 'a'"):
        raise raised("assert not value", "runstore.codecs._parquet_columns")
    with pytest.raises(InexactError, match="column 'a'"), of_library("column 'a'"):
        raise raised("assert not value", "pandas.core")
