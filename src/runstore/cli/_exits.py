"""The exit code of each error, in one table."""

from runstore import errors
from runstore.errors import BulkError

__all__ = [
    "BUG",
    "EXIT_CODES",
    "FAILED",
    "INTERRUPTED",
    "MEANINGS",
    "OK",
    "PIPE_CLOSED",
    "code_of",
]

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
TAKEN = 4
STORAGE = 5
UNREADABLE = 6
VALUE = 7
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

MEANINGS = {
    OK: "done",
    FAILED: "a stage failed, and the run; `verify`, `audit`, `diff` or `doctor` found something, "
    "or `gc` failed",
    USAGE: "wrong usage: option, name, workflow, config or setting; nothing was touched",
    NOT_FOUND: "no such object, run or namespace",
    TAKEN: "it exists already, has changed meanwhile, or its run is active or over",
    STORAGE: "the place failed, of the objects or of the stages: denied, full, away",
    UNREADABLE: "what is stored is damaged, or of a format this version cannot read",
    VALUE: "the value cannot be stored, loaded or written so; pickle policy, missing package",
    BUG: "a bug in runstore; its traceback is shown",
    INTERRUPTED: "interrupted with Ctrl-C",
}
"""What each exit code means; `docs/cli.md` and ``--help`` have the same table."""

EXIT_CODES: dict[type[errors.RunStoreError], int] = {
    errors.RunStoreError: FAILED,
    errors.NoRunContextError: USAGE,
    errors.InvalidNameError: USAGE,
    errors.InvalidRequestError: USAGE,
    errors.SettingsError: USAGE,
    errors.StoreClosedError: USAGE,
    errors.ObjectNotFoundError: NOT_FOUND,
    errors.ObjectExistsError: TAKEN,
    errors.PreconditionFailedError: TAKEN,
    errors.NotModifiedError: TAKEN,
    errors.RunActiveError: TAKEN,
    errors.StaleRunError: TAKEN,
    errors.RunCancelledError: FAILED,
    errors.CorruptObjectError: UNREADABLE,
    errors.UnsupportedFormatError: UNREADABLE,
    errors.UnsupportedValueError: VALUE,
    errors.UnsafePickleError: VALUE,
    errors.MissingExtraError: VALUE,
    errors.BulkError: STORAGE,  # if it has no reasons; see code_of
    errors.StorageError: STORAGE,
    errors.AccessDeniedError: STORAGE,
    errors.StorageFullError: STORAGE,
    errors.BucketNotFoundError: STORAGE,
    errors.BackendUnavailableError: STORAGE,
    errors.IndeterminateWriteError: STORAGE,
    errors.WorkflowError: FAILED,
    errors.ExecutorUnavailableError: STORAGE,
    errors.InvalidWorkflowError: USAGE,
    errors.MissingInputError: USAGE,
    errors.StageError: FAILED,
    errors.StageTimeoutError: FAILED,
}
"""Every class of `runstore.errors`; a class made later has the code of its base."""


def code_of(error: errors.RunStoreError) -> int:
    """Return the exit code for *error*; several failures in one count as the first of them."""
    if isinstance(error, BulkError):
        for reason in error.errors.values():
            if isinstance(reason, errors.RunStoreError):
                return code_of(reason)
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
