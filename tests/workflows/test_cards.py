"""Runs whose workflow asks for a card."""

import sys

import pytest

from runstore import ObjectStore, object_store, run_workflow
from runstore.errors import MissingExtraError, RunStoreWarning, StageError

pytest.importorskip("jinja2")


def workflow(*targets):
    stages = [{"name": f"s{i}", "target": target} for i, target in enumerate(targets)]
    return {"metadata": {"name": "train"}, "spec": {"card": True, "stages": stages}}


def load():
    object_store.put("doc", {"answer": 42})


def fail():
    raise ValueError("the sky fell")


def own():
    object_store.put("card.html", "<p>mine</p>")


@pytest.fixture
def place(tmp_path):
    """Give an empty store on disk."""
    return ObjectStore(tmp_path / "store")


def card_of(place, run):
    return place.at(run=run.name).get("card.html")


def test_each_run_puts_its_card(place):
    """With its final state and its objects."""
    run = run_workflow(workflow(load), store=place)
    assert "finished" in card_of(place, run)
    assert "42" in card_of(place, run)


def test_a_failed_run_puts_its_card_too(place):
    """With the error, which is raised as without a card."""
    with pytest.raises(StageError) as caught:
        run_workflow(workflow(fail), store=place)
    assert "the sky fell" in card_of(place, caught.value.run)


def test_an_object_of_that_name_stays(place):
    """There is a warning, and the object is what the stage has put."""
    with pytest.warns(RunStoreWarning, match="has put an object"):
        run = run_workflow(workflow(own), store=place)
    assert "<p>mine</p>" == card_of(place, run)


def test_without_the_extra_nothing_runs(place, monkeypatch):
    """The error names the extra, before anything is written."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"'train' has `card: true`.*runstore\[ui\]"):
        run_workflow(workflow(load), store=place)
    assert [] == place.namespaces()


def test_card_is_yes_or_no(place):
    """Anything else is refused."""
    wrong = workflow(load)
    wrong["spec"]["card"] = "somewhere"
    with pytest.raises(Exception, match="card"):
        run_workflow(wrong, store=place)
