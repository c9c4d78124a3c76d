"""The end of what the stages of a run have logged."""

from typing import TYPE_CHECKING, NamedTuple

from runstore.buffers import flat
from runstore.errors import ObjectNotFoundError
from runstore.keys import log_key

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["StageLog", "logs_of"]

_END = 64 << 10  # bytes of one stage
_STAGES = 20


class StageLog(NamedTuple):
    """What a stage has logged: the end of it, and whether there is more before that."""

    stage: str
    text: str
    cut: bool


def logs_of(store: "ObjectStore", run: "WorkflowRun") -> list[StageLog]:
    """Return the end of what each stage of a run has logged, of the first stages that have.

    Raises:
        StorageError: The place failed.
    """
    found = []
    for stage in [one.name for one in run.stages if one.logs is not None][:_STAGES]:
        try:
            data, entry = store.backend.tail(log_key(run.namespace, run.name, stage), _END)
        except ObjectNotFoundError:
            continue  # removed by clean-up
        text, cut = bytes(flat(data)).decode(errors="replace"), entry.size > _END
        if cut:
            text = text.partition("\n")[2]
        found.append(StageLog(stage, text, cut))
    return found
