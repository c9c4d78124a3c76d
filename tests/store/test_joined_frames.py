"""A frame that is cut into parts comes back as the library joins the parts, or is refused."""

import uuid

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.codecs.strategies import frames

from runstore import ObjectStore
from runstore.codecs import difference, layout_of
from runstore.errors import UnsupportedValueError
from runstore.testing import assert_same


@pytest.fixture(scope="module")
def view():
    """Give a view that all examples share."""
    with ObjectStore(f"memory://{uuid.uuid4()}") as store:
        yield store.at(namespace="dev", run="r1")


@pytest.mark.extended
@given(frame=frames(), at=st.integers(0, 6))
@settings(max_examples=25)
@pytest.mark.filterwarnings("ignore")  # of pickles, and of pandas about what it will join otherwise
def test_a_frame_in_two_parts_is_what_pandas_joins(view, frame, at):
    """What is read is exactly pandas.concat of the parts, or the seal or the read is refused."""
    parts = [frame.iloc[:at], frame.iloc[at:]]
    assume(type(frame) is pd.DataFrame)
    for number, part in enumerate(parts):
        view.put("x", part, part=number)
    try:
        expected = pd.concat(parts)
    except Exception:  # noqa: BLE001 - pandas cannot join it, whatever it says
        expected = None
    try:
        view.seal("x")
        found = view.get("x")
    except UnsupportedValueError as exc:
        assert expected is None or difference(layout_of(parts[0]), layout_of(expected)), exc  # noqa: PT017
        return
    assert_same(expected, found)
    assert difference(layout_of(frame), layout_of(found)) is None
