"""What a resolver returns."""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from runstore.names import MAX_SCOPE_BYTES

__all__ = ["Found", "Here", "Resolver", "run_name"]


class Here(NamedTuple):
    """A run of an orchestrator in which this code is.

    Attributes:
        key: What tells it from every other run, stage, attempt and item; it is compared at each
            call, and `describe` is called once for it.
        describe: Returns the rest.
    """

    key: Hashable
    describe: "Callable[[], Found]"


@dataclass(frozen=True)
class Found:
    """What an orchestrator says of the run in which this code is.

    Attributes:
        workflow: The name of its workflow: flow, job, DAG, pipeline.
        run: What names the run in the store, unique in the namespace, the same in each of its
            processes and at each attempt; see `run_name`.
        uid: The orchestrator's own id of the run.
        namespace: Where the orchestrator separates runs, as Flyte by project and domain; by
            default the setting.
        stage: The name of the task, step or op; None outside one.
        attempt: From 1.
        map_index: Of a mapped task, else None.
        started_at: When the run started, where that is known.
        input: The parameters of the run.
    """

    workflow: str
    run: str
    uid: str
    namespace: str | None = None
    stage: str | None = None
    attempt: int = 1
    map_index: int | None = None
    started_at: datetime | None = None
    input: Mapping[str, Any] = field(default_factory=dict)


class Resolver(Protocol):
    """What finds the current run of an orchestrator; a module with these two is one."""

    MODULE: str
    """The orchestrator's module without which no code of it runs here."""

    def here(self) -> Here | None:
        """Return the run in which this code is, or None outside one. It costs microseconds."""
        ...


def run_name(workflow: str, run: str) -> str:
    """Return a name for a run of an orchestrator, another one for every pair.

    It is ``<workflow>.<run>``, readable also as a folder. What the rules of names do not allow,
    a dot in the workflow's name, or too great a length, is told by a digest of both at the end.

    Args:
        workflow: The name of the workflow.
        run: The orchestrator's id of the run, unique among the runs of the workflow.
    """
    name = f"{workflow}.{run}"
    length = len(name) + 2 * sum(map(name.count, ":+"))  # which take three characters in a path
    if "." not in workflow and _PLAIN.fullmatch(name) and length <= MAX_SCOPE_BYTES:
        return name
    digest = sha256(f"{len(workflow)}:{workflow}{run}".encode(errors="surrogatepass"))
    rest = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip("_.-")[: MAX_SCOPE_BYTES - 17]
    return f"{rest}-{digest.hexdigest()[:16]}"


# It does not end as the names that end in a digest.
_PLAIN = re.compile(r"[A-Za-z0-9](?!.*-[0-9a-f]{16}\Z)[A-Za-z0-9_.+:-]*")
