"""Lineage as events of OpenLineage: they are what the package's own classes of the schema say."""

import json
import sys
import uuid

import pytest
from tests.lineage.openlineage_ import fits
from tests.lineage.test_lineage import lineage, record, stage, use

from runstore.errors import MissingExtraError
from runstore.store import Lineage

pytest.importorskip("openlineage.client")


@pytest.fixture
def found(store) -> Lineage:
    """Give the lineage of an object that two stages made, one of which failed at last."""
    view = store.at(namespace="dev", run="one")
    for name in ("raw", "report"):
        view.put(name, {"name": name})
    raw, report = use(store, "dev/one/raw"), use(store, "dev/one/report")
    record(
        store,
        "one",
        stage("load", writes=[raw]),
        stage("report", reads=[raw], writes=[report], state="failed", error="ValueError: no"),
        stage("never", reads=[report], started_at=None, finished_at=None, state="skipped"),
        after={"report": ["load"]},
    )
    return lineage(store)


def test_events_are_valid_by_the_schema_of_the_package(found):
    """Every event, dataset and facet has the fields and types of the schema, and no others."""
    from openlineage.client.event_v2 import RunEvent

    events = found.openlineage()
    assert events == json.loads(json.dumps(events))
    for event in events:
        assert RunEvent._get_schema() == event["schemaURL"]
        fits(event, RunEvent, "event")


def test_each_stage_that_began_has_a_start_and_an_end(found):
    """One that failed ends with FAIL and its error; one that was skipped has no events."""
    events = found.openlineage("my-jobs")
    told = [(event["job"]["name"], event["eventType"]) for event in events]
    assert [
        ("w.load", "START"),
        ("w.report", "START"),
        ("w.load", "COMPLETE"),
        ("w.report", "FAIL"),
    ] == told
    assert {"my-jobs"} == {event["job"]["namespace"] for event in events}
    last = events[-1]
    assert "ValueError: no" == last["run"]["facets"]["errorMessage"]["message"]
    assert events[1]["run"]["runId"] == last["run"]["runId"] != events[0]["run"]["runId"]


def test_datasets_are_versions_of_objects(found):
    """Inputs and outputs with digest, size, and the name that all runs have in common."""
    event = found.openlineage()[-1]
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (found.store, "dev/one/raw") == (read["namespace"], read["name"])
    assert "dev/one/report" == written["name"]
    root = found.objects[found.root]
    assert root.digest == written["facets"]["version"]["datasetVersion"]
    assert root.size == written["outputFacets"]["outputStatistics"]["size"]
    (same,) = written["facets"]["symlinks"]["identifiers"]
    assert "dev/report" == same["name"]


def test_the_run_of_the_workflow_is_the_parent(found):
    """With its uid, the input and config, and the stages that were waited for."""
    run = found.runs["dev/one"]
    facets = found.openlineage()[-1]["run"]["facets"]
    assert (run.uid, "w") == (
        facets["parent"]["run"]["runId"],
        facets["parent"]["job"]["name"],
    )
    parameters = facets["executionParameters"]["parameters"]
    assert {"input.year": "2013", "config.rate": "0.5"} == {
        one["key"]: one["value"] for one in parameters
    }
    (before,) = facets["jobDependencies"]["upstream"]
    assert "w.load" == before["job"]["name"]
    assert uuid.UUID(before["run"]["runId"])


def test_the_same_lineage_gives_the_same_events(found):
    """Run ids are made of the record, so events that are sent twice are the same."""
    assert found.openlineage() == found.openlineage()


def test_the_package_is_named_where_it_is_missing(found, monkeypatch):
    """The error has the pip line."""
    for name in [name for name in sys.modules if name.startswith("openlineage")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"runstore\[openlineage\]"):
        found.openlineage()
