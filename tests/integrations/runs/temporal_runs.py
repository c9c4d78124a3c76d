"""Payloads of Temporal's data converter go through the store, also with Temporal's server."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import stages
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runstore import ObjectNotFoundError, ObjectStore
from runstore.integrations.temporal import RunstoreDriver


async def main() -> None:
    """Large payloads become claims, small ones do not; all come back."""
    storage = ExternalStorage(drivers=[RunstoreDriver()], payload_size_threshold=1000)
    converter = DataConverter(external_storage=storage)
    values = [1, {"rows": list(range(1000))}, b"\x00" * 5000]
    payloads = await converter.encode(values)
    kept = await asyncio.gather(*map(converter._transform_outbound_payload, payloads))
    assert max(len(one.SerializeToString()) for one in kept) < 1000
    found = ObjectStore().at()
    assert 2 == len(found.list("temporal/", scope="namespace"))
    back = await asyncio.gather(*map(converter._transform_inbound_payload, kept))
    assert values == await converter.decode(back, [int, dict, bytes])
    await in_a_run()
    await with_a_server(converter)


@activity.defn
async def made(n: int) -> list[int]:
    """Give what is too large for Temporal."""
    return list(range(n))


@activity.defn
async def summed(rows: list[int]) -> int:
    """Take it."""
    return sum(rows)


@workflow.defn
class Training:
    """Pass a large value from one activity to the other, and return it."""

    @workflow.run
    async def run(self, n: int) -> list[int]:
        """Run both."""
        patience = timedelta(minutes=5)
        rows = await workflow.execute_activity(made, n, start_to_close_timeout=patience)
        total = await workflow.execute_activity(summed, rows, start_to_close_timeout=patience)
        return [total, *rows]


async def with_a_server(converter: DataConverter) -> None:
    """Two workflows at once: the server has claims, and the runs have their payloads."""
    server = Path(sys.executable).with_name("temporal")
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=converter, ip="127.0.0.1", dev_server_existing_path=str(server)
        ) as env,
        Worker(
            env.client,
            task_queue="training",
            workflows=[Training],
            activities=[made, summed],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        handles = [
            await env.client.start_workflow(
                Training.run, n, id=f"training-{n}", task_queue="training"
            )
            for n in (3000, 4000)
        ]
        for n, handle in zip((3000, 4000), handles, strict=True):
            assert [sum(range(n)), *range(n)] == await handle.result()
            history = await handle.fetch_history()
            assert max(event.ByteSize() for event in history.events) < 1500
            run = f"Training.{handle.result_run_id}"
            kept = ObjectStore().at(run=run).list("temporal/")
            assert len(kept) >= 2, [info.name for info in kept]


async def in_a_run() -> None:
    """Payloads of a workflow are objects of its run, and go with it."""
    driver, payload = RunstoreDriver(), Payload(data=b"x" * 2000)
    target = StorageDriverWorkflowInfo(namespace="default", id="w", run_id="r1", type="training")
    context = StorageDriverStoreContext(target=target)
    claims = await driver.store(context, [payload, payload])
    assert [payload, payload] == await driver.retrieve(None, claims)
    assert 2 == len(ObjectStore().at(run="training.r1").list("temporal/"))
    ObjectStore().delete_run("training.r1", namespace="default")
    try:
        await driver.retrieve(None, claims)
    except ObjectNotFoundError:
        return
    raise AssertionError("the payloads are still there")


if __name__ == "__main__":
    asyncio.run(main())
    stages.check_outside()
