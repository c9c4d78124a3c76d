"""The tests of the benchmarks have a target of their own: `make test-benchmarks`."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the tests of other targets are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as slow; the hook is called with the tests of all folders."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.slow)
