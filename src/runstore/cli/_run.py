"""`run`: runs a workflow from its file."""

import difflib
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.cli._completion import complete_file, complete_namespace, complete_ref
from runstore.cli._inputs import config_option, input_option, pairs
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store, option_for
from runstore.cli._output import emit_json, fields, say
from runstore.cli._progress import progress
from runstore.cli._resume import earlier
from runstore.errors import InvalidRequestError, StageError
from runstore.texts import duration, short_type

if TYPE_CHECKING:
    from runstore.context import WorkflowRun

__all__ = ["carry_out", "run"]

_LONGEST_RESULT = 400  # characters that are printed; all of it is in the record


def run(
    ctx: typer.Context,
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW",
            help="Its YAML file, or MODULE:NAME of one in Python; with --resume by default that of "
            "the earlier run.",
            autocompletion=complete_file,
        ),
    ] = None,
    config: Annotated[
        list[str] | None,
        config_option("A config's YAML file; repeatable."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        input_option("An input; JSON if V is JSON, else text; repeatable."),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="By default RUNSTORE_NAMESPACE, else 'default'.",
            autocompletion=complete_namespace,
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="What runs the stages: local, dask or ray.")
    ] = "local",
    executor_option: Annotated[
        list[str] | None,
        typer.Option(
            "--executor-option",
            metavar="K=V",
            help="As mode=processes, workers=4 or address=tcp://host:8786; repeatable.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="The run's name; must be new.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with this run: what it has done is taken over. NAME, NS/NAME or _latest.",
            autocompletion=complete_ref,
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Run a workflow and wait for its end.

    An option that is none of these is an input: --n_vals 5 is --input n_vals=5.
    Progress goes to stderr. With --json the run's record is printed, and what
    stages print goes to stderr, too.
    """
    from runstore.context import default_namespace

    workflow, words = _parted(workflow, ctx.args)
    if workflow is not None:
        _check_form(workflow)
    before = None if resume is None else earlier(open_store(store), resume, namespace)
    if before is not None:
        namespace, workflow = before.namespace, workflow or before.workflow
    if workflow is None:
        why = "the record of that run names no workflow: " if resume else ""
        raise InvalidRequestError(f"{why}give a workflow file, or MODULE:NAME of one in Python")
    known = [
        option for param in ctx.command.params for option in param.opts if option.startswith("--")
    ]
    carry_out(
        workflow,
        config=config or [],
        inputs=pairs("--input", [*(inputs or []), *_inputs_in(words, known)]),
        namespace=namespace if namespace is not None else default_namespace(),
        executor=executor,
        executor_options=pairs("--executor-option", executor_option),
        name=name,
        store=store,
        as_json=as_json,
        resume=None if before is None else before.name,
    )


def carry_out(
    workflow: str | Path,
    *,
    config: list[str],
    inputs: dict[str, Any],
    namespace: str,
    executor: str = "local",
    executor_options: dict[str, Any] | None = None,
    name: str | None = None,
    store: str | None,
    as_json: bool,
    source: str = "cli",
    resume: str | None = None,
) -> "WorkflowRun":
    """Run *workflow*, and print its progress and its result.

    Raises:
        StageError: A stage failed; the run's summary has been printed.
    """
    from runstore.workflows import run_workflow

    place = open_store(store)
    with _only_data_on_stdout(as_json), _terminable(), progress() as told:
        try:
            record = run_workflow(
                workflow,
                input=inputs if inputs or resume is None else None,
                namespace=namespace,
                executor=executor,
                executor_options=executor_options,
                config=config if config or resume is None else None,
                source=source,
                store=place,
                run=name,
                on_event=told,
                resume=resume,
            )
            error = None
        except StageError as exc:
            record, error = exc.run, exc
    if as_json:
        kept = place.read_run(record.name, namespace=record.namespace)  # its result is JSON
        emit_json({"store": place.url, **kept.model_dump(mode="json")})
    else:
        _tell(record, option_for(store))
    if error is not None:
        for stage, text in told.failures.items():
            if stage != error.stage:  # of that one `main` shows the traceback
                say(f"{stage}: {text}")
        raise error
    return record


def _parted(workflow: str | None, words: list[str]) -> tuple[str | None, list[str]]:
    """Return the workflow and the options that are inputs.

    The parser takes the first word that it does not know for the workflow, also an option.
    """
    if workflow is None or not workflow.startswith("--"):
        return workflow, words
    words = [workflow, *words]
    at = 0
    while at < len(words) and words[at].startswith("--"):
        at += 1 if "=" in words[at] else 2
    if at >= len(words):
        return None, words
    return words[at], words[:at] + words[at + 1 :]


def _check_form(workflow: str) -> None:
    """Raise InvalidRequestError if *workflow* names a module and nothing in it."""
    module = Path(workflow.removesuffix(":")).name.removesuffix(".py")
    if workflow.endswith(".py"):
        what = "is Python"
    elif re.fullmatch(r"[\w.]+:?", workflow) and not _may_be_file(Path(workflow)):
        what = "is no file"
    else:
        return
    raise InvalidRequestError(
        f"{workflow!r} {what}: for a workflow in Python write MODULE:NAME, as {module}:NAME with "
        "the name that it has there",
        workflow,
    )


def _may_be_file(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml", ".json") or os.path.exists(path)  # noqa: PTH110 - raises nothing


def _inputs_in(words: list[str], known: list[str]) -> list[str]:
    """Return the options that the program does not know as ``k=v``.

    Raises:
        InvalidRequestError: A word is no option, has no value, or looks like a mistyped option.
    """
    found, left = [], list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise InvalidRequestError(
                f"{word!r} is one word too many: an input is --input KEY=VALUE, or --KEY VALUE",
                word,
            )
        close = difflib.get_close_matches(f"--{name}", known, 1, 0.8)
        if close:
            raise InvalidRequestError(
                f"there is no option --{name}; did you mean {close[0]}? For an input of that name "
                f"write --input {name}=VALUE",
                word,
            )
        if not equals:
            if not left or left[0].startswith("--"):
                raise InvalidRequestError(
                    f"--{name} is no option of `runstore run`, and as an input it needs a value: "
                    f"write --{name} VALUE",
                    word,
                )
            value = left.pop(0)
        found.append(f"{name}={value}")
    return found


def _tell(record: "WorkflowRun", option: str) -> None:
    ref = shlex.quote(f"{record.namespace}/{record.name}")
    seconds = None
    if record.started_at and record.finished_at:
        seconds = (record.finished_at - record.started_at).total_seconds()
    result = None if record.result is None else _short(record.result)
    failed = record.state == "failed"
    say("")
    fields(
        {
            "run": f"{record.namespace}/{record.name}",
            "state": record.state,
            "duration": duration(seconds),
            "result": result,
            "stored": f"runstore ls {ref}{option}",
            "stages": f"runstore show {ref}{option}" if failed else None,
        }
    )
    if failed:
        say("")


def _short(result: Any) -> str:
    try:
        text = json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        kind = type(result)
        return f"a {short_type(f'{kind.__module__}.{kind.__qualname__}')}"
    return text if len(text) <= _LONGEST_RESULT else f"{text[:_LONGEST_RESULT]}…"


@contextmanager
def _only_data_on_stdout(asked: bool) -> Iterator[None]:
    """Send what stages print to stderr, from threads and child processes alike."""
    if not asked:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _terminable() -> Iterator[None]:
    """End the run on SIGTERM as on Ctrl-C, so that its record does not stay ``running``."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread, where signals do not arrive
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
