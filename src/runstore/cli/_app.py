"""The program: its commands, and how it ends."""

import contextlib
import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runstore import __version__
from runstore.cli import (
    _audit,
    _browse,
    _cancel,
    _completion,
    _copying,
    _demo,
    _diff,
    _doctor,
    _gc,
    _get,
    _lineage,
    _logs,
    _migrate,
    _objects,
    _replay,
    _resume,
    _run,
    _show,
    _stream,
    _tail,
    _tree,
    _ui,
    _verify,
)
from runstore.cli._exits import BUG, INTERRUPTED, MEANINGS, OK, code_of
from runstore.cli._options import CommonOptions, DebugOption, StoreOption
from runstore.cli._output import emit, say, say_error, standard_streams
from runstore.errors import RunStoreError, RunStoreWarning, StageError

__all__ = ["app", "main"]

_REFS = """\b
REF is how objects print: NAMESPACE/RUN/NAME for an object of a run,
NAMESPACE/_shared/NAME for one that the namespace's runs share. Write
_latest for the newest run, as in demo/_latest/report."""

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"{code:>4}  {says}" for code, says in MEANINGS.items())


_MEANT = {
    "delete": "rm",
    "download": "get",
    "history": "runs",
    "list": "ls",
    "log": "logs",
    "remove": "rm",
    "resume": "run --resume",
    "upload": "put",
}
"""What people type who know other programs, and the command that does it here."""


class _Commands(TyperGroup):
    """The commands. It keeps the notes of an interrupt, of which typer keeps an exit code only."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            ctx.ensure_object(CommonOptions).notes = tuple(getattr(interrupt, "__notes__", ()))
            raise


app = typer.Typer(
    cls=_Commands,
    name="runstore",
    help=f"Run workflows, and look at what their runs have stored.\n\n{_REFS}",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help is text, the same on a terminal and in a pager
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:
    if value:
        emit(f"runstore {__version__}")
        raise typer.Exit


@app.callback()
def _runstore(
    store: StoreOption = None,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Parse the options that may stand before the command."""


# What `run` does not know is an input of the workflow: `--n_vals 5`.
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(_run.run)
for _command in (
    _demo.demo,
    _browse.runs,
    _browse.ls,
    _tree.tree,
    _show.show,
    _get.get,
    _stream.cat,
    _stream.head,
    _tail.tail,
    _logs.logs,
    _cancel.cancel,
    _objects.put,
    _copying.cp,
    _copying.mv,
    _objects.rm,
    _browse.du,
    _gc.gc,
    _gc.pin,
    _gc.unpin,
    _gc.tag,
    _gc.note,
    _verify.verify,
    _audit.audit,
    _diff.diff,
    _ui.ui,
    _ui.card,
    _lineage.lineage,
    _resume.why,
    _replay.replay,
    _migrate.migrate,
    _doctor.doctor,
    _completion.completion,
):
    app.command()(_command)
app.add_typer(_doctor.config, name="config")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see `runstore.cli._exits`.

    Errors that runstore raises on purpose are printed as one sentence, with a traceback
    only if ``--debug`` is given. Any other error is a bug, and its traceback is printed.

    Args:
        args: The words after ``runstore``; by default those of the process.
    """
    for stream in standard_streams():
        with contextlib.suppress(AttributeError):  # names in an ASCII terminal must not fail
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    _completion.prepare()
    given = CommonOptions()
    with _warnings_told():
        return _ended(args, given)


def _ended(args: Sequence[str] | None, given: CommonOptions) -> int:
    try:
        ended = app(
            args=list(args) if args is not None else None,
            prog_name="runstore",
            standalone_mode=False,
            obj=given,
        )
    except (KeyboardInterrupt, typer.Abort):
        ended = INTERRUPTED
    except RunStoreError as exc:
        return _told(exc, given.debug)
    except Exception as exc:  # noqa: BLE001 - its traceback is printed
        # Errors of typer are classes of click, which it has under several names.
        if not hasattr(exc, "format_message") or not hasattr(exc, "exit_code"):
            say(traceback.format_exc())
            say_error("this is a bug in runstore, please report it with the traceback above")
            return BUG
        _tell_usage(exc)
        return int(exc.exit_code)
    if ended == INTERRUPTED:
        say("interrupted")
        for note in given.notes:
            say(note)
    return ended if isinstance(ended, int) else OK


@contextlib.contextmanager
def _warnings_told() -> Iterator[None]:
    """Print runstore's own warnings in a sentence, each once, and others as Python does."""
    told: set[str] = set()

    def tell(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line).rstrip()
        if issubclass(category, RunStoreWarning):
            text = f"warning: {message}"
        if text not in told:
            told.add(text)
            say(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always", RunStoreWarning)
        warnings.showwarning = tell
        yield


def _told(error: RunStoreError, debug: bool) -> int:
    if debug:
        say(_full_traceback(error))
    elif isinstance(error, StageError) and error.traceback:
        say(error.traceback.rstrip() + "\n")  # the user's own code, which they need to see
        say_error(f"stage {error.stage!r} of run {error.ref!r} failed, as shown above")
        return code_of(error)
    say_error(str(error))
    return code_of(error)


def _full_traceback(error: RunStoreError) -> str:
    """Return the traceback with its causes; that of a stage without the run's secrets."""
    if not isinstance(error, StageError) or not error.traceback:
        return "".join(traceback.format_exception(error))
    of_run = traceback.format_exception(type(error), error, error.__traceback__, chain=False)
    between = "The above exception was the direct cause of the following exception:"
    return f"{error.traceback.rstrip()}\n\n{between}\n\n{''.join(of_run)}"


def _tell_usage(error: Exception) -> None:
    message = error.format_message()  # type: ignore[attr-defined]
    message = message.replace(": Value error, ", ": ", 1)  # a prefix of pydantic's
    message = re.sub(r"\s*\n\s*", " ", message)  # of choices, each on a line of its own
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # the message is the help, or was shown
        if message:
            say(message)
        return
    unknown = re.match(r"No such command '(\w+)'", message)
    if unknown and unknown[1] in _MEANT:
        message = f"{unknown[0]}. Did you mean '{_MEANT[unknown[1]]}'?"
    param = getattr(error, "param", None)
    if (
        ctx is not None
        and ctx.command_path == "runstore get"
        and "--output" in getattr(param, "opts", ())
    ):
        message += " -o FILE writes a file, -o - prints it, and 'runstore show REF' describes it."
    say_error(message)
    if ctx is not None:
        say(f"{ctx.get_usage()}\nTry '{ctx.command_path} --help'.")
