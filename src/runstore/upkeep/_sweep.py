"""Removing what interrupted writes have left: temporary files, and parts that no seal names."""

from runstore.objects import PARTS_AGE, sweep_parts
from runstore.steps import reporting
from runstore.upkeep._whole_store import WholeStore

__all__ = ["swept"]

_FILES_AGE = 3600  # seconds since the last write to a temporary file


def swept(store: WholeStore, older_than: float | None) -> int:
    """Remove leftovers; see `runstore.ObjectStore.sweep`."""
    files = store.backend.sweep(_FILES_AGE if older_than is None else older_than)
    age, objects = PARTS_AGE if older_than is None else older_than, store._objects
    with reporting(f"looking for leftovers in {store.address.url}", unit="items") as report:
        for namespace in store.namespaces():
            for run in (*store.runs_with_objects(namespace), None):
                files += sweep_parts(objects, namespace, run, age)
                report.add()
    return files
