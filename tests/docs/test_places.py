"""docs/places.md has the guarantees as the code has them."""

import re
from pathlib import Path

import pytest

from runstore.places._azure import AzureBackend
from runstore.places._google import GoogleBackend
from runstore.places._local import LocalBackend
from runstore.places._memory import MemoryBackend
from runstore.places._s3._backend import _GUARANTEES

PAGE = Path(__file__).parents[2] / "docs" / "places.md"
FACTS = ("atomic_put", "create", "compare_and_swap", "ranges", "versions", "server_copy")


def rendered() -> str:
    """The table as the code has it."""
    from runstore.places._fsspec import table

    rows = [
        ("`memory://`", MemoryBackend.guarantees),
        ("a path, `file://`", LocalBackend.guarantees),
        ("`s3://`", _GUARANTEES),
        ("`gs://`, `gcs://` (obstore)", GoogleBackend.promised),
        ("`abfs://`, `abfss://`, `az://` (obstore)", AzureBackend.promised),
        *((one.name, one.guarantees) for one in table()),
    ]
    names = [*FACTS, "mapped", "shared"]
    lines = ["place", *(name.replace("_", " ") for name in names)]
    text = [f"| {' | '.join(lines)} |", f"|{' --- |' * len(lines)}"]
    shown = {True: "yes", False: "–", None: "asked", "none": "–"}
    for place, facts in rows:
        cells = [shown.get(getattr(facts, name), getattr(facts, name)) for name in names]
        text.append(f"| {place} | {' | '.join(cells)} |")
    return "\n".join(text)


def test_the_table_of_guarantees_is_that_of_the_code():
    """Each row says what the code promises. To renew it: python -m tests.docs.test_places."""
    pytest.importorskip("fsspec")
    found = re.search(r"<!-- table -->\n(.*?)\n?<!-- end of table -->", PAGE.read_text(), re.S)
    assert rendered() == found[1]


if __name__ == "__main__":
    whole = re.sub(
        r"(<!-- table -->\n).*?(<!-- end of table -->)",
        lambda match: f"{match[1]}{rendered()}\n{match[2]}",
        PAGE.read_text(),
        flags=re.S,
    )
    PAGE.write_text(whole)
