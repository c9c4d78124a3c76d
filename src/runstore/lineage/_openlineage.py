"""Lineage as events of OpenLineage, by openlineage-python: what data catalogues take.

Each stage of a run is a run of theirs, whose parent is the run of the workflow. An object is a
dataset with the URL of the store as its namespace; its version is the digest of the value. As
the name has the run in it, a symlink says the name that all runs have in common.
"""

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runstore.errors import MissingExtraError
from runstore.keys import SHARED
from runstore.versions import version_of

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.lineage._graph import Lineage, LineageObject, LineageStage

__all__ = ["events_of"]

_PRODUCER = f"https://pypi.org/project/runstore/{version_of('runstore')}"
_JOBS = "runstore"


def events_of(found: "Lineage", namespace: str | None) -> list[dict[str, Any]]:
    """Return a START event and an end for each stage whose record tells of it, by time.

    A stage that has not ended has no end; one that did not start has none of both.

    Raises:
        MissingExtraError: openlineage-python is not installed; with the pip line.
    """
    try:
        from openlineage.client.serde import Serde
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            "events of OpenLineage need the package openlineage-python: "
            "pip install 'runstore[openlineage]'"
        ) from exc
    timed: list[tuple[float, int, Any]] = []
    for stage in found.stages.values():
        run = found.runs.get(f"{stage.namespace}/{stage.run}")
        if run is not None:
            order = [one.name for one in run.stages].index(stage.stage)
            made = _Stage(found, stage, run, namespace or _JOBS).events()
            timed += [(at.timestamp(), order, event) for at, event in made]
    timed.sort(key=lambda one: one[:2])
    return [Serde.to_dict(event) for _, _, event in timed]


class _Stage:
    """One stage, as their classes have it."""

    def __init__(
        self, found: "Lineage", stage: "LineageStage", run: "WorkflowRun", namespace: str
    ) -> None:
        from openlineage.client import event_v2, facet_v2

        self._events, self._facets = event_v2, facet_v2
        self._found, self._stage, self._run, self._namespace = found, stage, run, namespace

    def events(self) -> list[tuple[datetime, Any]]:
        """Return the events of the stage, each with its time."""
        states = self._events.RunState
        began, ended = self._stage.started_at, self._stage.finished_at
        if began is None:
            return []
        made = [(_zoned(began), states.START)]
        if ended is not None:
            done = self._stage.state == "finished"
            made.append((_zoned(ended), states.COMPLETE if done else states.FAIL))
        return [(at, self._event(state, at)) for at, state in made]

    def _event(self, state: Any, at: datetime) -> Any:
        found, node = self._found, self._stage.id
        inputs = [edge.source for edge in found.before(node) if edge.kind == "reads"]
        outputs = [edge.target for edge in found.behind(node) if edge.kind == "writes"]
        ends = state is not self._events.RunState.START
        return self._events.RunEvent(
            eventTime=at.isoformat(),
            eventType=state,
            producer=_PRODUCER,
            run=self._events.Run(
                runId=_run_id(self._run, self._stage.stage), facets=self._of_run(ends)
            ),
            job=self._events.Job(
                namespace=self._namespace, name=_job(self._stage), facets=self._of_job()
            ),
            inputs=[self._input(found.objects[name]) for name in inputs],
            outputs=[self._output(found.objects[name]) for name in outputs],
        )

    def _of_run(self, ends: bool) -> dict[str, Any]:
        facets, run = self._facets, self._run
        parent = facets.parent_run
        found: dict[str, Any] = {
            "parent": parent.ParentRunFacet(
                run=parent.Run(runId=_run_id(run)),
                job=parent.Job(namespace=self._namespace, name=run.workflow),
                producer=_PRODUCER,
            ),
            "processing_engine": facets.processing_engine_run.ProcessingEngineRunFacet(
                version=run.versions.get("runstore", version_of("runstore")),
                name="runstore",
                producer=_PRODUCER,
            ),
        }
        parameters = [
            facets.execution_parameters_run.ExecutionParameter(
                key=f"{kind}.{key}", value=json.dumps(value, default=str)
            )
            for kind, values in (("input", run.input), ("config", run.config))
            for key, value in (values or {}).items()
        ]
        if parameters:
            found["executionParameters"] = (
                facets.execution_parameters_run.ExecutionParametersRunFacet(
                    parameters=parameters, producer=_PRODUCER
                )
            )
        error = next((one.error for one in run.stages if one.name == self._stage.stage), None)
        if ends and error is not None:
            found["errorMessage"] = facets.error_message_run.ErrorMessageRunFacet(
                message=error, programmingLanguage="PYTHON", producer=_PRODUCER
            )
        before = [
            self._found.stages[edge.source]
            for edge in self._found.before(self._stage.id)
            if edge.kind == "after"
        ]
        if before:
            found["jobDependencies"] = self._dependencies(before)
        return found

    def _dependencies(self, before: "list[LineageStage]") -> Any:
        of = self._facets.job_dependencies_run
        return of.JobDependenciesRunFacet(
            upstream=[
                of.JobDependency(
                    job=of.JobIdentifier(namespace=self._namespace, name=_job(stage)),
                    run=of.RunIdentifier(runId=_run_id(self._run, stage.stage)),
                )
                for stage in before
            ],
            producer=_PRODUCER,
        )

    def _of_job(self) -> dict[str, Any]:
        stage, facets = self._stage, self._facets
        told = {"target": stage.target, "source": stage.source, "commit": stage.commit}
        return {
            "jobType": facets.job_type_job.JobTypeJobFacet(
                processingType="BATCH",
                integration="RUNSTORE",
                jobType="STAGE",
                producer=_PRODUCER,
            ),
            "tags": facets.tags_job.TagsJobFacet(
                tags=[
                    facets.tags_job.TagsJobFacetFields(key=key, value=value, source="RUNSTORE")
                    for key, value in told.items()
                    if value is not None
                ],
                producer=_PRODUCER,
            ),
        }

    def _input(self, one: "LineageObject") -> Any:
        facet = self._facets.input_statistics_input_dataset.InputStatisticsInputDatasetFacet
        statistics = facet(rowCount=one.rows, size=one.size, producer=_PRODUCER)
        return self._events.InputDataset(
            namespace=self._found.store,
            name=one.ref,
            facets=self._of_dataset(one),
            inputFacets={} if one.size is None else {"inputStatistics": statistics},
        )

    def _output(self, one: "LineageObject") -> Any:
        facet = self._facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        statistics = facet(rowCount=one.rows, size=one.size, producer=_PRODUCER)
        return self._events.OutputDataset(
            namespace=self._found.store,
            name=one.ref,
            facets=self._of_dataset(one),
            outputFacets={} if one.size is None else {"outputStatistics": statistics},
        )

    def _of_dataset(self, one: "LineageObject") -> dict[str, Any]:
        facets = self._facets
        identifier = facets.symlinks_dataset.Identifier(
            namespace=self._found.store,
            name=f"{one.namespace}/{one.name if one.run else f'{SHARED}/{one.name}'}",
            type="OBJECT",
        )
        found: dict[str, Any] = {
            "symlinks": facets.symlinks_dataset.SymlinksDatasetFacet(
                identifiers=[identifier], producer=_PRODUCER
            )
        }
        if one.digest is not None:
            found["version"] = facets.dataset_version_dataset.DatasetVersionDatasetFacet(
                datasetVersion=one.digest, producer=_PRODUCER
            )
        return found


def _job(stage: "LineageStage") -> str:
    return f"{stage.workflow}.{stage.stage}"


def _run_id(run: "WorkflowRun", stage: str | None = None) -> str:
    """Return the UUID of a run, or one that is made of it for a stage: the same each time."""
    try:
        of_run = uuid.UUID(run.uid)
    except ValueError:  # a record may say anything
        of_run = uuid.uuid5(uuid.NAMESPACE_URL, f"runstore://{run.namespace}/{run.name}/{run.uid}")
    return str(of_run if stage is None else uuid.uuid5(of_run, stage))


def _zoned(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
