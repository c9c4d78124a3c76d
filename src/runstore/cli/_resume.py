"""`run --resume` and `why`: going on with an earlier run, and why its stages ran again."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import counted, emit, emit_json
from runstore.cli._refs import parse_ref, resolved
from runstore.errors import InvalidRequestError, ObjectNotFoundError

if TYPE_CHECKING:
    from runstore.context import StageRecord, WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["Earlier", "earlier", "record_of", "taken_over", "why"]


class Earlier(NamedTuple):
    """The run that is gone on with.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        workflow: Where its workflow was read from, or None.
    """

    namespace: str
    name: str
    workflow: str | None


def earlier(store: "ObjectStore", text: str, namespace: str | None) -> Earlier:
    """Return the run that ``--resume`` names.

    Args:
        store: Where it is.
        text: A run's name, ``NS/RUN``, or ``_latest`` in the place of the name.
        namespace: What ``--namespace`` says.

    Raises:
        InvalidRequestError: It is of another namespace than *namespace*.
        ObjectNotFoundError: There is no such run.
    """
    record = record_of(store, text, namespace, complete=False)
    if namespace is not None and record.namespace != namespace:
        raise InvalidRequestError(
            f"--resume {text}: a run is resumed in its own namespace, so omit --namespace", text
        )
    return Earlier(record.namespace, record.name, record.file)


def record_of(
    store: "ObjectStore", text: str, namespace: str | None = None, *, complete: bool = True
) -> "WorkflowRun":
    """Return the record of a run that is written as ``NAME``, ``NS/NAME`` or ``NS/_latest``.

    With *complete* the beginning of its name is enough.
    """
    if "/" not in text:
        from runstore.context import default_namespace

        text = f"{namespace or default_namespace()}/{text}"
    ref = parse_ref(text)
    if ref.run is None or ref.name:
        raise InvalidRequestError(f"{text!r} names no run: write NAMESPACE/RUN", text)
    ref = resolved(store, ref, complete=complete)
    return store.read_run(str(ref.run), namespace=ref.namespace)


def taken_over(stage: "StageRecord", namespace: str) -> str:
    """Return that a stage was taken over and from which run, or how many of its items were.

    Times and logs of it are those of that run. Empty if it ran, all of it.
    """
    if stage.origin is None:
        return ""
    if stage.state == "finished" and not stage.attempts:
        return f"taken over from {namespace}/{stage.origin}"
    if not stage.taken_items:
        return ""
    return f"{counted(stage.taken_items, 'item')} taken over from {namespace}/{stage.origin}"


def why(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="The name of a stage.")],
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run, as NAME or NS/NAME; by default the newest one.",
            autocompletion=complete_ref,
        ),
    ] = "_latest",
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Report why a stage of a resumed run ran again, or that it was taken over."""
    record = record_of(open_store(store), run)
    found = next((one for one in record.stages if one.name == stage), None)
    if found is None:
        names = ", ".join(repr(one.name) for one in record.stages) or "no stages"
        raise ObjectNotFoundError(
            f"run {record.namespace}/{record.name} has no stage {stage!r}; it has {names}", stage
        )
    told = _told(found, record)
    if as_json:
        about = {"run": f"{record.namespace}/{record.name}", "stage": stage, "why": found.why}
        about |= {"resumed": record.resumed, "origin": found.origin, "told": told}
        emit_json(about)
    else:
        emit(told)


def _told(stage: "StageRecord", record: "WorkflowRun") -> str:
    if record.resumed is None:
        return f"it ran: run {record.namespace}/{record.name} does not go on with an earlier one"
    if stage.why is None:
        if stage.origin is None:
            return f"it is {stage.state}: what it depends on did not get that far"
        return f"it did not run: it was taken over from run {stage.origin}, as nothing has changed"
    told = f"it ran again: {stage.why}"
    if stage.taken_items:
        told += f"; {stage.taken_items} of {stage.items} items were taken over"
    return told
