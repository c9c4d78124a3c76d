"""The card of a run: one file, bounded, inert."""

import re

import numpy as np
import pandas as pd
import pytest

from runstore.context import new_run
from runstore.errors import ObjectNotFoundError
from runstore.pages import LARGEST_CARD, run_card

pytest.importorskip("jinja2")

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"


class Odd:
    """A class of a user's own, which only a pickle keeps."""


@pytest.fixture
def run(store):
    """Give a recorded run, without objects."""
    record = new_run("train", namespace="dev", name="r1", source=EVIL)
    store.write_run(record.model_copy(update={"state": "finished", "error": EVIL}))
    return record


def test_a_card_shows_the_objects_of_the_run(store, view, run):
    """Tables by their first rows, pictures as they are, pickles by name."""
    view.put("table", pd.DataFrame({"column_a": np.arange(1000)}))
    view.put("pickled", Odd())
    view.put("dot.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    page = run_card(store, "r1", namespace="dev")
    assert all(text in page for text in ("column_a", "pickled", "data:image/svg+xml;base64,"))
    assert "1,000 × 1" in page


def test_a_card_asks_nobody_for_anything(store, view, run):
    """No script, no link, no address of another host; text of users is text."""
    view.put("evil", pd.DataFrame({EVIL: [EVIL]}), metadata={EVIL: EVIL})
    page = run_card(store, "r1", namespace="dev")
    assert not re.search(r"<script|<link|<iframe|\x1b|\u202e", page)
    assert not re.search(r"""(src|href)=["']?(?!#|data:)""", page)
    assert "\\x1b[31m\\u202e" in page
    assert "default-src 'none'" in page


def test_a_card_is_bounded(store, view, run):
    """Many objects with long cells, and many objects, stay below a megabyte."""
    wide = pd.DataFrame({f"{'c' * 100}{i}": ["x" * 1000] * 20 for i in range(50)})
    view.put_many({f"{'n' * 200}{i:03}": i for i in range(300)})
    view.put_many({f"a{i:02}": wide for i in range(40)})
    assert len(run_card(store, "r1", namespace="dev").encode()) <= LARGEST_CARD


def test_a_damaged_object_does_not_spoil_the_card(tmp_path):
    """It is named, with the reason."""
    from runstore import ObjectStore

    store = ObjectStore(tmp_path)
    store.write_run(new_run("train", namespace="dev", name="r1"))
    store.at(namespace="dev", run="r1").put("x", pd.DataFrame({"a": [1]}))
    file = tmp_path / "dev" / "r1" / "x.arrow"
    file.write_bytes(b"\0" * 500)
    assert "damaged" in run_card(store, "r1", namespace="dev")


def test_a_run_without_a_record_has_no_card(store):
    """The error names the run."""
    with pytest.raises(ObjectNotFoundError, match="r9"):
        run_card(store, "r9", namespace="dev")
