"""Airflow's listener: records of DAG runs say what their tasks have used, and how they have ended.

A file in Airflow's folder of plug-ins loads it, with one line::

    from runstore.integrations.airflow_plugin import RunstorePlugin
"""

from typing import Any, Literal

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from runstore.context import StageScope
from runstore.context.resolvers import run_name
from runstore.integrations._ended import run_ended
from runstore.store import stage_has_ended, tell_records

__all__ = ["RunstorePlugin"]


class _Listener:
    """What Airflow calls: in the process of a task, and where it schedules."""

    @hookimpl  # type: ignore[untyped-decorator] # Airflow is not installed where this is checked
    def on_task_instance_success(self, task_instance: Any) -> None:
        """A task has ended; its process ends without what Python does at an exit."""
        _task_ended(task_instance, "finished")

    @hookimpl  # type: ignore[untyped-decorator] # Airflow is not installed where this is checked
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """An attempt of a task has failed."""
        reason = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else error
        _task_ended(task_instance, "failed", None if reason is None else str(reason))

    @hookimpl  # type: ignore[untyped-decorator] # Airflow is not installed where this is checked
    def on_dag_run_success(self, dag_run: Any) -> None:
        """A DAG run has ended."""
        run_ended(dag_run.dag_id, dag_run.run_id, "finished")

    @hookimpl  # type: ignore[untyped-decorator] # Airflow is not installed where this is checked
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """A DAG run has failed."""
        run_ended(dag_run.dag_id, dag_run.run_id, "failed", msg or "a task has failed")


def _task_ended(task: Any, state: Literal["finished", "failed"], error: str | None = None) -> None:
    mapped = task.map_index is not None and task.map_index >= 0
    stage = StageScope(
        name=task.task_id,
        attempt=task.try_number,
        map_index=task.map_index if mapped else None,
    )
    run = run_name(task.dag_id, task.run_id)
    stage_has_ended(run, stage, state, error)
    tell_records(run)


class RunstorePlugin(AirflowPlugin):  # type: ignore[misc] # Airflow is not installed here
    """What Airflow finds in a file of its folder of plug-ins."""

    name = "runstore"
    listeners = (_Listener(),)
