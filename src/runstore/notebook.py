"""``%load_ext runstore``: a run for the cells of a notebook.

    %load_ext runstore
    %run_context --namespace dev --config rate=0.1

From then on every cell runs in this run, as a stage does, with `object_store` and
`get_run_context`. ``%%run_context`` at the top of a cell is for this cell only, and
``%run_context --end`` leaves. With ``--record`` the run has a record, as with `recorded_run`: it
ends with ``--end``, with another run or with the kernel. IPython runs a cell in a context of its
own, which ends with it, so the run is entered before each cell and left after it.
"""

import argparse
import atexit
import json
import shlex
from contextlib import AbstractContextManager
from typing import Any, NoReturn, cast

from runstore.context import WorkflowRunContext, run_context, use_run_context
from runstore.errors import InvalidRequestError, RunStoreError

__all__ = ["load", "unload"]

_KEPT = "_runstore_run_context"  # an attribute of the shell: it lives as long as that


def load(shell: Any) -> None:
    """Add ``%run_context`` and ``%%run_context`` to an IPython shell; twice changes nothing."""
    if getattr(shell, _KEPT, None) is not None:
        return
    cells = _Cells(shell)
    setattr(shell, _KEPT, cells)
    shell.register_magic_function(cells.magic, "line_cell", "run_context")
    shell.events.register("pre_run_cell", cells.before)
    shell.events.register("post_run_cell", cells.after)


def unload(shell: Any) -> None:
    """Remove what `load` has added, and leave the run."""
    cells = getattr(shell, _KEPT, None)
    if cells is None:
        return
    cells.end()
    shell.events.unregister("pre_run_cell", cells.before)
    shell.events.unregister("post_run_cell", cells.after)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("run_context", None)
    setattr(shell, _KEPT, None)


class _Cells:
    """Enters the run before each cell and leaves it afterwards.

    Args:
        shell: Of IPython.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._ctx: WorkflowRunContext | None = None
        self._entered: AbstractContextManager[WorkflowRunContext] | None = None
        self._inner = False  # whether a cell with %%run_context is being run
        self._recorded: AbstractContextManager[WorkflowRunContext] | None = None

    def before(self, *_: Any) -> None:
        """Enter the run of ``%run_context``, if there is one."""
        if self._ctx is not None and self._entered is None and not self._inner:
            self._entered = use_run_context(self._ctx)
            self._entered.__enter__()

    def after(self, *_: Any) -> None:
        """Leave it."""
        if self._entered is not None and not self._inner:
            self._entered.__exit__(None, None, None)
            self._entered = None

    def end(self) -> None:
        """Leave the run for good; one with a record has finished."""
        self.after()
        self._ctx = None
        recorded, self._recorded = self._recorded, None
        if recorded is not None:
            atexit.unregister(self.end)
            recorded.__exit__(None, None, None)

    def magic(self, line: str, cell: str | None = None) -> WorkflowRunContext | None:
        """Run the following cells, or with %% this cell, in a workflow run.

        %run_context [--namespace NS] [--run NAME] [--workflow NAME] [--store URL]
                     [--input K=V]… [--config K=V]… [--record]
        %run_context          the current run
        %run_context --end    leave it
        """
        from IPython.core.error import UsageError

        try:
            given = _parsed(line)
            if cell is not None:
                self._run(_made(given or {}), cell)
                return None
            if line.strip() == "--end":
                self.end()
                return None
            if given is not None:
                made = _made(given)
                self.end()
                self._enter(made)
            elif self._ctx is None:
                print("no run is entered: %run_context --namespace NS enters one")
            return self._ctx
        except RunStoreError as exc:
            raise UsageError(str(exc)) from exc

    def _enter(self, made: AbstractContextManager[WorkflowRunContext]) -> None:
        self._ctx = made.__enter__()
        if isinstance(made, run_context):
            made.__exit__(None, None, None)
            self.before()
        else:
            self._recorded = made
            atexit.register(self.end)

    def _run(self, made: AbstractContextManager[WorkflowRunContext], cell: str) -> None:
        before, self._inner = self._inner, True
        error: BaseException | None = None
        try:
            with made:
                outcome = self._shell.run_cell(cell)
                error = outcome.error_in_exec or outcome.error_before_exec
                if error is not None:
                    raise error  # so that a record says why
        except BaseException as exc:
            if exc is not error:
                raise
        finally:
            self._inner = before
        if error is not None:  # its traceback has been shown
            raise _shown(error)


def _shown(error: BaseException) -> Exception:
    """Return what makes a cell fail with the name and text of *error*, and shows no traceback."""
    own = {"_render_traceback_": lambda _: [], "__module__": type(error).__module__}
    return cast("Exception", type(type(error).__name__, (Exception,), own)(str(error)))


def _made(given: dict[str, Any]) -> AbstractContextManager[WorkflowRunContext]:
    """Return what enters a run, by the options of the magic."""
    options = {name: value for name, value in given.items() if name != "record"}
    if not given.get("record"):
        return run_context(source="notebook", **options)
    from runstore.workflows import recorded_run  # which needs much more

    return recorded_run(source="notebook", **options)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidRequestError(f"%run_context: {message}; %run_context? shows how to use it")


def _parsed(line: str) -> dict[str, Any] | None:
    """Return the arguments of `run_context` in a line; None if it has none.

    Raises:
        InvalidRequestError: They are not understood.
    """
    parser = _Parser(prog="%run_context", add_help=False)
    for name in ("namespace", "run", "workflow", "store"):
        parser.add_argument(f"--{name}", default=None)
    for name in ("input", "config"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="K=V")
    for name in ("record", "end"):
        parser.add_argument(f"--{name}", action="store_true")
    try:
        words = shlex.split(line)
    except ValueError as exc:
        raise InvalidRequestError(f"%run_context: {exc}") from exc
    found = vars(parser.parse_args(words))
    if found.pop("end"):
        if words != ["--end"]:
            raise InvalidRequestError("%run_context: --end stands alone")
        return None
    given = {name: value for name, value in found.items() if value}
    for name in given.keys() & {"input", "config"}:
        given[name] = dict(_pair(name, word) for word in given[name])
    return given or None


def _pair(name: str, word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not key or not equals:
        raise InvalidRequestError(f"%run_context: --{name} {word!r}: write KEY=VALUE", word)
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text
