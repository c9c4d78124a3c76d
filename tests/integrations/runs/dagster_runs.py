"""The stages as ops and assets of Dagster: in process, in the multiprocess executor."""

import tempfile
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pandas as pd
import stages
from twice import meeting

from runstore import ObjectStore, object_store
from runstore.integrations.dagster import RunstoreIOManager, run_sensors


@dg.op
def build():
    """Store."""
    stages.build()
    return 1


@dg.op
def train(_built):
    """Read."""
    stages.train()


@dg.op(out=dg.DynamicOut())
def items():
    """Give two items."""
    for item in (1, 2):
        yield dg.DynamicOutput(item, mapping_key=str(item))


@dg.op
def each(item):
    """Store an item."""
    stages.each(item)


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def flaky():
    """Fail once."""
    stages.flaky()


@dg.job(executor_def=dg.in_process_executor)
def training():
    """Run every stage."""
    train(build())
    items().map(each)
    flaky()


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 1}))
def in_processes():
    """Each op in a process of its own."""
    train(build())


@dg.asset
def features():
    """An asset of no job."""
    stages.build()


PARTS = dg.StaticPartitionsDefinition(["a", "b"])


@dg.op(out=dg.Out(io_manager_key="store"))
def made():
    """Give what the next op takes."""
    return pd.DataFrame({"x": [1, 2]})


@dg.op
def taken(frame):
    """Take it."""
    assert frame.equals(pd.DataFrame({"x": [1, 2]}))


@dg.job(resource_defs={"store": RunstoreIOManager()}, executor_def=dg.in_process_executor)
def passing():
    """Pass a frame through the store."""
    taken(made())


@dg.asset(partitions_def=PARTS, io_manager_key="store")
def by_letter(context: dg.AssetExecutionContext):
    """One partition."""
    return pd.DataFrame({"letter": [context.partition_key]})


@dg.asset(io_manager_key="store")
def letters(by_letter):
    """All partitions at once."""
    assert ["a", "b"] == [by_letter[key]["letter"][0] for key in ("a", "b")]
    return sorted(by_letter)


@dg.op(out=dg.Out(io_manager_key="store"))
def half():
    """Put by name, and return what goes through the IO manager."""
    object_store.put("inner", 1)
    return pd.DataFrame({"x": [1]})


@dg.op
def whole(frame):
    """Find both."""
    assert 1 == object_store.get("inner")
    return len(frame)


@dg.graph_asset
def composed():
    """An asset of several ops."""
    return whole(half())


ASSETS = dg.Definitions(assets=[composed], resources={"store": RunstoreIOManager()})


def check_jobs_without_a_name(instance: dg.DagsterInstance) -> None:
    """What ops of an asset put and return is in one run, whatever job Dagster makes for them."""
    resources = {"store": RunstoreIOManager()}
    job = ASSETS.get_implicit_global_asset_job_def()
    for done in (
        dg.materialize([composed], instance=instance, resources=resources),
        job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("composed")]),
    ):
        assert done.success
        [run] = [run for run in ObjectStore().runs() if run.uid == done.run_id]
        names = [info.name for info in ObjectStore().at(run=run.name).list()]
        assert ["composed.half/result", "inner"] == sorted(names), names
    assert "composed" == run.workflow, run


def check_io_manager(instance: dg.DagsterInstance) -> None:
    """Outputs of ops and partitions of assets go through the store."""
    assert passing.execute_in_process(instance=instance).success
    resources = {"store": RunstoreIOManager()}
    for key in ("a", "b"):
        dg.materialize([by_letter], partition_key=key, instance=instance, resources=resources)
    done = dg.materialize(
        [letters, dg.SourceAsset("by_letter", partitions_def=PARTS, io_manager_key="store")],
        instance=instance,
        resources=resources,
    )
    assert done.success
    shown = done.asset_materializations_for_node("letters")[0].metadata
    assert "default/_shared/letters" == shown["object"].value
    view = ObjectStore().at()
    assert ["a", "b"] == view.get("letters", scope="namespace")
    view.seal("by_letter", scope="namespace")
    assert ["a", "b"] == list(view.get("by_letter", scope="namespace")["letter"])


def close_runs(instance: dg.DagsterInstance) -> None:
    """Do what the daemon does for each run that has ended."""
    by_status = dict(zip(("SUCCESS", "FAILURE", "CANCELED"), run_sensors, strict=True))
    for record in instance.get_run_records():
        run = record.dagster_run
        [event] = [
            each.dagster_event
            for each in instance.all_logs(run.run_id)
            if each.dagster_event
            and each.dagster_event.event_type_value in ("PIPELINE_SUCCESS", "PIPELINE_FAILURE")
        ]
        sensor = by_status[run.status.value]
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=run,
        )
        list(sensor(context) or ())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        with meeting(), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: training.execute_in_process(instance=instance), range(2)))
        done = dg.execute_job(dg.reconstructable(in_processes), instance=instance)
        assert done.success
        dg.materialize([features], instance=instance)
        check_io_manager(instance)
        check_jobs_without_a_name(instance)
        close_runs(instance)
    stages.check_outside()
