"""A filesystem over an empty store, in memory and on a disk."""

import pytest


@pytest.fixture
def fs(store):
    """Give the files of that store."""
    from fsspec import filesystem

    return filesystem("runstore", store=store.url)
