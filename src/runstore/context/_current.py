"""The current run: how to enter one, and how to ask for it."""

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from runstore.arguments import check_instance, check_keys, check_nested, check_text, unfit
from runstore.context._address import address_of, check_store, default_namespace
from runstore.context._definitions import Metadata, Stage, Workflow, WorkflowSpec
from runstore.context._entering import entering
from runstore.context._entries import Entry, current_entry, enter, leave_last
from runstore.context._models import StoreAddress, WorkflowRunContext
from runstore.context._records import WorkflowRun
from runstore.context._runs import new_run
from runstore.context.resolvers import resolved
from runstore.errors import InvalidNameError, NoRunContextError
from runstore.names import check_namespace, check_run

__all__ = [
    "find_run_context",
    "get_run_context",
    "peek_run_context",
    "peeked_run_context",
    "run_context",
    "surrounding",
    "use_run_context",
]

F = TypeVar("F", bound=Callable[..., Any])


def get_run_context() -> WorkflowRunContext:
    """Return the context of the run this code is part of.

    Where none was entered, that is the run of the orchestrator whose task, step or op this code
    is; see docs/integrations.md. Outside a run this raises; no run is made up.

    Raises:
        NoRunContextError: No run has been entered here; the message says how to.
    """
    entry = current_entry()
    ctx = resolved() if entry is None else entry.own()
    if ctx is None:
        raise NoRunContextError(_way_in())
    return ctx


def find_run_context() -> WorkflowRunContext | None:
    """Return the context of the run this code is part of, or None outside one."""
    entry = current_entry()
    return resolved(others=False) if entry is None else entry.own()


def peek_run_context() -> WorkflowRunContext | None:
    """Return the current context for code that looks at neither input nor config.

    These may be those of other calls, too: they are copied when a stage asks for them.
    """
    entry = current_entry()
    return resolved(others=False) if entry is None else entry.ctx


def peeked_run_context() -> WorkflowRunContext:
    """Return what `peek_run_context` does, or raise NoRunContextError."""
    entry = current_entry()
    ctx = resolved() if entry is None else entry.ctx
    if ctx is None:
        raise NoRunContextError(_way_in())
    return ctx


def _way_in() -> str:
    message = (
        "no workflow run here. A stage started by run_workflow() always has one; in a notebook, "
        "a script or a test enter one:\n\n"
        "    with runstore.run_context(namespace='dev'):\n"
        "        object_store.put('features', df)\n\n"
        "or read without one through runstore.ObjectStore().at(namespace=…, run=…)."
    )
    if threading.current_thread() is not threading.main_thread():
        message += (
            f"\nThis is the thread {threading.current_thread().name!r}, and Python gives a thread "
            "no context of its own accord:"
        )
    else:
        message += "\nContexts do not reach other threads or processes of their own accord:"
    return message + (
        " pass runstore.bind(fn) instead of fn to the pool, to Dask or to Ray, or use "
        "runstore.ContextThreadPoolExecutor or ContextProcessPoolExecutor."
    )


def use_run_context(ctx: WorkflowRunContext) -> AbstractContextManager[WorkflowRunContext]:
    """Make *ctx* the current context inside the block; afterwards it is the outer one again.

    Args:
        ctx: An existing context, for instance one that came from another process.

    Raises:
        InvalidRequestError: *ctx* is no context.
    """
    check_instance("use_run_context", "ctx", ctx, WorkflowRunContext, "a WorkflowRunContext")
    return _Using(ctx)


class _Using(AbstractContextManager[WorkflowRunContext]):
    """Enters an existing context; several threads, tasks and generators may be in it at once."""

    def __init__(self, ctx: WorkflowRunContext) -> None:
        self._ctx = ctx

    def __enter__(self) -> WorkflowRunContext:
        return enter(Entry(self._ctx, self, sys._getframe(1))).own()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave_last(self, sys._getframe(1))

    def __call__(self, function: F) -> F:
        """Decorate *function*: every call of it runs in the context."""
        return entering(function, lambda: self._ctx)


class run_context:  # noqa: N801 - used like a function: a context manager and a decorator
    """Enter a run of one's own: for notebooks, scripts and tests.

    Inside the block, or in every call of the decorated function, `object_store`
    and `get_run_context` work as in a stage. What the block stores stays stored.
    Inside another run, namespace and store are taken from it unless given.
    Functions, coroutine functions and generators can be decorated; each call
    enters a run, of a new name unless *run* is given.

    Args:
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
        run: The run's name, or its record; by default ``<workflow>-<time>-<random>``.
        config: What ``get_run_context().config`` holds.
        input: What ``get_run_context().input`` holds.
        workflow: A name, or a definition; its stages are not run.
        store: Where objects go: a URL, a path, an address or an
            `runstore.ObjectStore`; by default ``RUNSTORE_URL``, else ``.runstore``
            under the working directory.
        source: What triggered the run.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
        InvalidRequestError: Another argument is of a wrong type.
        SettingsError: The settings or *store* are not understood.
    """

    def __init__(
        self,
        namespace: str | None = None,
        run: str | WorkflowRun | None = None,
        config: Mapping[str, Any] | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the field's name
        workflow: str | Workflow = "interactive",
        store: Any = None,
        source: str = "manual",
    ) -> None:
        call = "run_context"
        check_text(call, "namespace", namespace, optional=True, error=InvalidNameError)
        if namespace is not None:
            check_namespace(namespace)
        if isinstance(run, str):
            check_run(run)
        elif run is not None and not isinstance(run, WorkflowRun):
            raise unfit(call, "run", "a str, a WorkflowRun or None", run, by_type=True)
        for argument, values in (("config", config), ("input", input)):
            check_keys(call, argument, values, optional=True)
            check_nested(call, argument, values)
        if not isinstance(workflow, (str, Workflow)) or workflow == "":
            raise unfit(call, "workflow", "a name or a Workflow", workflow)
        check_text(call, "source", source)
        check_store(call, store)
        self._namespace = namespace
        self._run = run
        self._config = dict(config or {})
        self._input = dict(input or {})
        self._workflow = _definition(workflow)
        self._store = store
        self._source = source

    def __enter__(self) -> WorkflowRunContext:
        # Several threads, tasks and generators may be in one object at once.
        return enter(Entry(self._new(), self, sys._getframe(1))).ctx

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave_last(self, sys._getframe(1))

    def __call__(self, function: F) -> F:
        """Decorate *function*: every call of it runs in a context of this kind."""
        return entering(function, self._new)

    def _new(self) -> WorkflowRunContext:
        entry = current_entry()
        outer = None if entry is None else entry.ctx
        if outer is None and (self._namespace is None or self._store is None):
            outer = find_run_context()
        namespace, address = surrounding(outer, self._namespace, self._store)
        run = self._run
        if not isinstance(run, WorkflowRun):
            run = new_run(
                self._workflow.metadata.name, namespace=namespace, name=run, source=self._source
            )
        ctx = WorkflowRunContext.of_checked(
            input=self._input,
            namespace=namespace,
            definition=self._workflow,
            run=run,
            config=self._config,
            store=address,
        )
        # Entered by a stage, it is part of the stage's attempt and is given up with it. Entered by
        # hand, it may write, also to a run that has ended.
        lease = None if outer is None else outer.lease
        return ctx if ctx.lease is lease else ctx.leased(lease)


def surrounding(
    outer: WorkflowRunContext | None, namespace: str | None, store: Any, call: str = "run_context"
) -> tuple[str, StoreAddress]:
    """Return the namespace and the store of what begins here.

    Args:
        outer: The context of the run that this code is part of: what is not given is taken from
            it. None outside a run, where the settings say it.
        namespace, store: What was given, or None.
        call: The function they were given to, for messages.

    Raises:
        SettingsError: *store* or the settings are not understood.
    """
    if namespace is None:
        namespace = default_namespace() if outer is None else outer.namespace
    if store is None and outer is not None:
        return namespace, outer.store
    return namespace, address_of(store, call)


def _definition(workflow: str | Workflow) -> Workflow:
    if isinstance(workflow, Workflow):
        return workflow.by_name()
    # Of values that need no check: the models would be built for that.
    stage = Stage.model_construct(name="interactive", target="builtins:print")
    return Workflow.model_construct(
        metadata=Metadata.model_construct(name=workflow),
        spec=WorkflowSpec.model_construct(stages=(stage,)),
    )
