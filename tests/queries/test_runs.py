"""Pages of runs and objects, and the search."""

from datetime import UTC, datetime, timedelta

import pytest

from runstore.context import new_run
from runstore.queries import (
    namespaces,
    objects_page,
    runs_page,
    searched,
    stage_graph,
    unrecorded,
)


@pytest.fixture
def many(store):
    """Give a store with 120 runs of two workflows."""
    for i in range(120):
        run = new_run("train" if i % 2 else "score", namespace="dev", source="cron")
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i)
        store.write_run(
            run.model_copy(
                update={
                    "name": f"{run.workflow}-{at:%Y%m%dT%H%M%S}.000Z-{i:08x}",
                    "started_at": at,
                    "state": "failed" if i % 10 == 0 else "finished",
                }
            )
        )
    return store


def test_runs_come_in_pages_newest_first(many):
    """Every run is on exactly one page, in the order of their starts."""
    pages = [runs_page(many, "dev", page=page) for page in (1, 2, 3)]
    names = [run.name for page in pages for run in page.items]
    assert [50, 50, 20] == [len(page.items) for page in pages]
    assert [True, True, False] == [page.more for page in pages]
    assert names == [run.name for run in many.runs("dev")]


def test_runs_are_filtered_by_text_state_and_workflow(many):
    """Filters go together, and know all runs, not those of a page."""
    assert 12 == len(runs_page(many, "dev", state="failed").items)
    assert runs_page(many, "dev", workflow="train").more
    found = runs_page(many, "dev", text="SCORE", state="failed")
    assert {"score"} == {run.workflow for run in found.items}
    assert [] == runs_page(many, "dev", text="nothing").items


def test_namespaces_are_described_with_their_newest_run(many):
    """The number of recorded runs, and the newest one."""
    (found,) = namespaces(many)
    assert ("dev", 120) == (found.name, found.runs)
    assert found.newest.name.startswith("train-20260101T015900")


def test_objects_come_in_pages_and_by_name(store, view):
    """A run with many objects is shown a hundred at a time."""
    view.put_many({f"x{i:03}": i for i in range(150)} | {"other": 1})
    first, second = (objects_page(store, "dev", "r1", page=page) for page in (1, 2))
    assert (100, True, 51, False) == (len(first.items), first.more, len(second.items), second.more)
    assert ["other"] == [info.name for info in objects_page(store, "dev", "r1", text="OTH").items]


def test_a_search_finds_namespaces_runs_and_objects(many):
    """By any part of their names, in any case."""
    run = many.runs("dev")[0].name
    many.at(namespace="dev", run=run).put("Features", 1)
    many.at(namespace="dev").put("shared features", 1, scope="namespace")
    found = searched(many, "feat")
    assert {"Features", "shared features"} == {place.name for place in found.objects}
    assert ["dev"] == searched(many, "DE").namespaces
    assert searched(many, "train").more


def test_runs_without_a_record_are_listed_and_found(many):
    """By a part of their names; at most a page of them, which says that there are more."""
    for name in ("notebook-1", "notebook-2"):
        many.at(namespace="dev", run=name).put(f"of {name}", 1)
    many.at(namespace="dev", run=many.runs("dev")[0].name).put("x", 1)
    assert ["notebook-2", "notebook-1"] == unrecorded(many, "dev").items
    assert ["notebook-1"] == unrecorded(many, "dev", text="BOOK-1").items
    assert [("dev", "notebook-2"), ("dev", "notebook-1")] == searched(many, "notebook-").runs
    assert ["of notebook-2"] == [place.name for place in searched(many, "of notebook-2").objects]
    for i in range(60):
        many.at(namespace="bare", run=f"r{i:02}").put("x", 1)
    found = unrecorded(many, "bare")
    assert (50, "r59", True) == (len(found.items), found.items[0], found.more)


def test_stages_without_a_definition_have_no_graph(many):
    """A record of an earlier version does not say what depends on what."""
    assert [] == stage_graph(many.runs("dev")[0]).nodes
