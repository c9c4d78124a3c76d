"""`lineage`: which stages of which runs made an object, of what, and what was made of it."""

from typing import Annotated, Literal

import typer

from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import emit, emit_json
from runstore.cli._refs import object_place
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError

__all__ = ["lineage"]


def lineage(
    ref: Annotated[str, typer.Argument(metavar="REF", help="NS/RUN/NAME or NS/_shared/NAME.")],
    back: Annotated[bool, typer.Option("--back", help="Only what it was made of.")] = False,
    onwards: Annotated[bool, typer.Option("--onwards", help="Only what was made of it.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a flowchart for Mermaid.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="As a digraph for Graphviz.")] = False,
    openlineage: Annotated[
        bool, typer.Option("--openlineage", help="As events of OpenLineage, one a line.")
    ] = False,
    runs: Annotated[
        int, typer.Option("--runs", min=1, help="Newest runs that are looked through.")
    ] = 1000,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what made an object, of what, back to the first inputs, and what was made of it."""
    if mermaid + dot + openlineage + as_json > 1:
        raise InvalidRequestError("give one of --mermaid, --dot, --openlineage and --json", ref)
    if back and onwards:
        raise InvalidRequestError("give one of --back and --onwards, or none for both", ref)
    direction: Literal["both", "back", "onwards"] = (
        "back" if back else "onwards" if onwards else "both"
    )
    place = open_store(store)
    with transfer(f"reading the records of runs for {ref}"):
        name, scope = ref, {}
        if not ref.startswith("runstore://"):
            at = object_place(place, ref, complete=True)
            name, scope = at.name, {"scope": at.scope, "run": at.run, "namespace": at.namespace}
        found = place.at().lineage(name, **scope, direction=direction, runs=runs)  # type: ignore[arg-type]
    if as_json:
        emit_json(found.as_dict())
    elif openlineage:
        import json

        for event in found.openlineage():
            emit(json.dumps(event))
    elif mermaid or dot:
        emit((found.mermaid() if mermaid else found.dot()).rstrip("\n"))
    else:
        emit(found.tree())
