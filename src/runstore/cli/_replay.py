"""`replay`: one stage of a run again, here, without touching the run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.cli._completion import complete_file, complete_ref
from runstore.cli._diff import show_difference
from runstore.cli._exits import FAILED
from runstore.cli._inputs import config_option, input_option, pairs
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import emit, emit_json, say
from runstore.cli._resume import record_of

if TYPE_CHECKING:
    from runstore.workflows import Replay

__all__ = ["replay"]


def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run: NAME, NS/NAME or NS/_latest.", autocompletion=complete_ref
        ),
    ],
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="The name of a stage.")],
    item: Annotated[
        int | None,
        typer.Option(
            "--item", min=0, metavar="I", help="Of a mapped stage; by default the one that failed."
        ),
    ] = None,
    config: Annotated[
        list[str] | None,
        config_option(
            "A config's YAML file, whose keys count instead of the recorded ones; repeatable."
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        input_option("An input instead of the recorded one, as one that is secret; repeatable."),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="DIR",
            help="Where the stage's module is; by default beside the workflow's file, else here.",
            autocompletion=complete_file,
        ),
    ] = None,
    scratch: Annotated[
        str | None,
        typer.Option(
            "--scratch", metavar="DIR", help="Where what it writes goes; by default a new folder."
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Run one stage of a run again, here, on what it read then, and show what differs.

    Nothing is written to the store of the run. It ends with 1 if the stage fails.
    """
    from runstore.workflows import replay as replayed

    place = open_store(store)
    found = replayed(
        record_of(place, run),
        stage,
        item=item,
        input=pairs("--input", inputs),
        config=config or None,
        code=code,
        store=place,
        scratch=scratch,
    )
    if as_json:
        emit_json({"store": place.url, **_as_json(found)})
    else:
        if found.traceback is not None:
            say(found.traceback.rstrip() + "\n")
        emit(str(found))
        for one in found.written:
            difference = None if one.same else found.diff(one.name)
            if difference is not None:
                emit("")
                show_difference(difference)
        say(f"what it wrote is in {found.folder}")
    if found.state == "failed":
        raise typer.Exit(FAILED)


def _as_json(found: "Replay") -> dict[str, Any]:
    from runstore.context import kept_result

    return {
        "run": f"{found.run.namespace}/{found.run.name}",
        "stage": found.stage,
        "item": found.item,
        "state": found.state,
        "state_before": found.state_before,
        "same": found.same,
        "result": kept_result(found.result),
        "result_before": found.before,
        "error": found.error,
        "error_before": found.error_before,
        "written": [
            {
                "name": one.name,
                "scope": one.scope,
                "same": one.same,
                "before": None if one.before is None else one.before.ref,
                "now": None if one.now is None else one.now.ref,
            }
            for one in found.written
        ],
        "scratch": found.folder,
    }
