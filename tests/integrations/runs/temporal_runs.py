"""Payloads of Temporal's data converter go through the store; no server is needed for that."""

import asyncio

import stages
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

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
