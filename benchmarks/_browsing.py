"""Stores that the browser view and the card of a run are measured on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from runstore import ObjectStore
from runstore.context import ObjectUse, StageRecord, new_run, new_run_name

__all__ = ["NAMESPACE", "fill", "large_table"]

NAMESPACE = "bench"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_WORKFLOWS, _STAGES, _COLUMNS = 3, 3, 16
_ROWS = 1 << 17  # of a piece: 16 MiB


def fill(store: ObjectStore, runs: int, objects: int) -> list[str]:
    """Write runs with their objects and records, one in ten of them failed; return their names."""

    def one(number: int) -> str:
        at, workflow = _START + timedelta(minutes=number), f"workflow-{number % _WORKFLOWS}"
        name = new_run_name(workflow, at)
        view = store.at(namespace=NAMESPACE, run=name)
        uses = [
            ObjectUse(ref=f"runstore://{NAMESPACE}/{name}/object-{n}", size=view.put(*put).size)
            for n, put in enumerate((f"object-{n}", number) for n in range(objects))
        ]
        store.write_run(_record(name, workflow, number, at, uses))
        return name

    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(one, range(runs)))


def _record(name: str, workflow: str, number: int, at: datetime, uses: list[Any]) -> Any:
    failed, names = number % 10 == 9, [f"stage-{n}" for n in range(_STAGES)]
    stages = [
        StageRecord(
            name=stage,
            state="failed" if failed and stage == names[-1] else "finished",
            started_at=at + timedelta(seconds=10 * n),
            finished_at=at + timedelta(seconds=10 * n + 9),
            attempts=1,
            writes=tuple(uses[n::_STAGES]),
        )
        for n, stage in enumerate(names)
    ]
    definition = {
        "metadata": {"name": workflow},
        "spec": {
            "stages": [
                {"name": stage, "target": f"stages.{stage}", "depends_on": names[max(n - 1, 0) : n]}
                for n, stage in enumerate(names)
            ]
        },
    }
    values = {
        "state": "failed" if failed else "finished",
        "source": "schedule" if number % 4 else "manual",
        "error": "stage-2: ValueError: it did not fit" if failed else None,
        "started_at": at,
        "finished_at": at + timedelta(seconds=30),
        "stages": tuple(stages),
        "definition": definition,
        "config": {"learning_rate": 0.1, "rounds": 100},
    }
    return new_run(workflow, namespace=NAMESPACE, name=name).model_copy(update=values)


def large_table(view: Any, name: str, gigabytes: float) -> int:
    """Write a table of so many gigabytes in memory, piece by piece; return its stored size."""
    piece = _piece()
    with view.writer(name) as writer:
        for _ in range(max(1, round(gigabytes * 1e9 / piece.nbytes))):
            writer.write(piece)
    size: int = writer.info.size
    return size


def _piece() -> "pa.Table":
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {"label": [f"label {n % 1000}" for n in range(_ROWS)]}
    columns |= {f"c{n}": rng.standard_normal(_ROWS) for n in range(_COLUMNS - 1)}
    return pa.table(columns)
