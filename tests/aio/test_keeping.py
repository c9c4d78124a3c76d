import asyncio

from tests.upkeep.gc_runs import stocked

from runstore import ObjectStore, aio


def test_clean_up_and_marks_are_awaited(tmp_path):
    """The same plan, report and marks as without await."""
    for day in range(4):
        stocked(ObjectStore(tmp_path / "store"), f"r{day}", day)

    async def clean():
        async with aio.ObjectStore(tmp_path / "store") as store:
            await store.pin("r0", namespace="dev")
            await store.pin("r1", namespace="dev")
            await store.unpin("r1", namespace="dev")
            await store.tag("r0", ["a", "b"], namespace="dev")
            await store.untag("r0", ["a"], namespace="dev")
            await store.note("r0", "said", namespace="dev")
            plan = await store.plan_gc(keep_last=1)
            report = await store.apply_gc(plan)
            return plan, report, await store.marks("r0", namespace="dev")

    plan, report, marks = asyncio.run(clean())
    assert ["r1", "r2"] == [run.run for run in plan.runs]
    assert ("dev/r1", "dev/r2") == report.runs
    assert (True, ("b",), "said") == (marks.pinned, marks.tags, marks.note)
    assert ["r0", "r3"] == ObjectStore(tmp_path / "store").runs_with_objects("dev")
