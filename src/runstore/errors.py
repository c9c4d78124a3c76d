"""Every error runstore raises on purpose, in one tree.

    RunStoreError
    ├── NoRunContextError          outside a run
    ├── StaleRunError              the run has ended, or its attempt was abandoned: no more writes
    │   └── RunCancelledError      somebody asked the run to stop
    ├── RunActiveError             the run is still running, so it is not deleted
    ├── InvalidNameError           a name, run or namespace that cannot be a key   (ValueError)
    ├── InvalidRequestError        arguments that contradict each other            (ValueError)
    ├── StoreClosedError           the store was closed
    ├── SettingsError              a setting or store address that is not understood
    ├── ObjectNotFoundError        nothing is stored there                         (KeyError)
    ├── ObjectExistsError          ``if_absent`` and the name is taken
    ├── PreconditionFailedError    ``if_match`` and the object has been replaced
    │   └── NotModifiedError       it is still the version that the caller has
    ├── CorruptObjectError         the bytes are wrong
    ├── UnsupportedFormatError     intact bytes that cannot be read here: versions, formats, limits
    ├── UnsupportedValueError      the value cannot be stored exactly
    ├── UnsafePickleError          the pickle policy forbids it
    ├── MissingExtraError          an optional package is needed
    ├── BulkError                  some items of a ``*_many`` call failed
    ├── StorageError               the place failed, not the request
    │   ├── AccessDeniedError
    │   ├── StorageFullError
    │   ├── BucketNotFoundError
    │   ├── BackendUnavailableError
    │   └── IndeterminateWriteError    it is unknown whether the write happened
    └── WorkflowError
        ├── ExecutorUnavailableError    the engine could not be started or reached
        ├── InvalidWorkflowError   the definition is wrong; nothing ran
        ├── MissingInputError      a stage asked for an input or config value not given (KeyError)
        ├── StageError             a stage failed; the run is recorded as failed
        └── StageTimeoutError      the reason inside a StageError

Warnings have a separate tree:

    RunStoreWarning
    ├── UnreadableWarning          a listing left out what cannot be read
    ├── UnusedConfigWarning        a config was given that does not select the workflow
    └── AmbiguousYamlWarning       YAML readers disagree on the meaning of a word

Every class can be rebuilt from its positional arguments, so errors can be sent
back from a worker process. The message names the object and says what to do;
``ref`` is the reference of the object alone, for programs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "AccessDeniedError",
    "AmbiguousYamlWarning",
    "BackendUnavailableError",
    "BucketNotFoundError",
    "BulkError",
    "CorruptObjectError",
    "ExecutorUnavailableError",
    "IndeterminateWriteError",
    "InvalidNameError",
    "InvalidRequestError",
    "InvalidWorkflowError",
    "MissingExtraError",
    "MissingInputError",
    "NoRunContextError",
    "NotModifiedError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "PreconditionFailedError",
    "RunActiveError",
    "RunCancelledError",
    "RunStoreError",
    "RunStoreWarning",
    "SettingsError",
    "StageError",
    "StageTimeoutError",
    "StaleRunError",
    "StorageError",
    "StorageFullError",
    "StoreClosedError",
    "UnreadableWarning",
    "UnsafePickleError",
    "UnsupportedFormatError",
    "UnsupportedValueError",
    "UnusedConfigWarning",
    "WorkflowError",
]


class RunStoreError(Exception):
    """Base of every error runstore raises on purpose.

    Args:
        message: What happened, to which object, and what to do.
        ref: The object, run or file concerned, or None.

    Attributes:
        cure: The end of the message, which says what to do, if it is known separately.
    """

    cure: str = ""

    def __init__(self, message: str, ref: str | None = None) -> None:
        super().__init__(message, ref)  # positional, so pickle can rebuild it
        self.message = message
        self.ref = ref

    def __str__(self) -> str:
        return self.message  # a KeyError would print it in quotes


class NoRunContextError(RunStoreError):
    """The code runs outside any run, so there is no scope to read or write."""


class StaleRunError(RunStoreError):
    """This context may no longer write: its run has ended, or its attempt was abandoned."""


class RunCancelledError(StaleRunError):
    """Somebody asked the run to stop, and it has; its record says ``failed: cancelled``."""


class RunActiveError(RunStoreError):
    """According to its record the run is still running, so it was not deleted."""


class InvalidNameError(RunStoreError, ValueError):
    """A name, run or namespace breaks the naming rules; nothing was touched."""


class InvalidRequestError(RunStoreError, ValueError):
    """The arguments of a call contradict each other; nothing was touched."""


class StoreClosedError(RunStoreError):
    """The store was closed before this call; nothing was touched."""


class SettingsError(RunStoreError):
    """A setting, option or store address is not understood; nothing was touched."""


class ObjectNotFoundError(RunStoreError, KeyError):
    """Nothing is stored under the name in this scope. Never raised for an outage.

    Similar names are looked up only when the error is shown, or sent to another
    process. So a miss that the program handles costs no listing.
    """

    look: "Callable[[], str] | None" = None
    """Returns what the message ends in; called once, when it is needed."""

    def __str__(self) -> str:
        look, self.look = self.look, None
        if look is not None:
            self.message += look()
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        message = str(self)  # before its state is taken
        state = {name: value for name, value in vars(self).items() if name != "look"}
        return type(self), (message, self.ref), state


class ObjectExistsError(RunStoreError):
    """``if_absent`` was given and the name is taken; the object is untouched."""


class PreconditionFailedError(RunStoreError):
    """``if_match`` was given and the object has been replaced; it is untouched."""


class NotModifiedError(PreconditionFailedError):
    """The object is still the version that the caller has."""


class CorruptObjectError(RunStoreError):
    """The stored bytes are wrong: not what was written, not valid, or under another's key."""


class UnsupportedFormatError(RunStoreError):
    """The bytes are intact but cannot be read here.

    They have a newer format version, a format without a reader, or come from another version of
    a library; or they would take more memory than the setting ``max_decoded`` allows.
    """


class UnsupportedValueError(RunStoreError):
    """The value cannot be stored exactly in this format; the old object is untouched."""


class UnsafePickleError(RunStoreError):
    """The pickle policy forbids writing or loading this object.

    It is a pickle, or holds an Arrow type whose class might run code, or the policy is
    ``signed`` and the object has no signature.
    """


class MissingExtraError(RunStoreError):
    """An optional package is needed; the message has the pip line."""


class BulkError(RunStoreError):
    """Some items of a ``*_many`` call failed; the others are done.

    Args:
        message: How many failed, and the first reasons.
        ref: The scope concerned.
        errors: Name to error, for every item that failed.
        results: Name to result, for every item that succeeded.
    """

    def __init__(
        self,
        message: str,
        ref: str | None = None,
        errors: "Mapping[str, Exception] | None" = None,
        results: "Mapping[str, Any] | None" = None,
    ) -> None:
        super().__init__(message, ref)
        self.errors = dict(errors or {})
        self.results = dict(results or {})
        self.args = (message, ref, self.errors, self.results)


class StorageError(RunStoreError):
    """The place where objects are kept failed; the old object is intact."""


class AccessDeniedError(StorageError):
    """The place refused the credentials or the permissions of this process."""


class StorageFullError(StorageError):
    """No space or quota is left; the old object is intact."""


class BucketNotFoundError(StorageError):
    """The bucket, or the root the store stands on, does not exist."""


class BackendUnavailableError(StorageError):
    """The place could not be reached, or did not answer within the deadline, retries included."""


class IndeterminateWriteError(StorageError):
    """Nobody can say whether the write landed, or whether it is kept after a power cut."""


class WorkflowError(RunStoreError):
    """Base of what goes wrong with workflows."""


class ExecutorUnavailableError(WorkflowError):
    """The engine could not be started or reached, or went away; how far calls came is unknown."""


class InvalidWorkflowError(WorkflowError):
    """A workflow or config is wrong: cycle, unknown name, bad target, bad YAML. Nothing ran."""


class MissingInputError(WorkflowError, KeyError):
    """A stage asked for an input or config value that the run was not given."""


class StageError(WorkflowError):
    """A stage failed and with it the run; ``__cause__`` is the stage's own error.

    Args:
        message: Stage, run and reason.
        ref: The run, as ``namespace/run``.
        stage: The name of the stage that failed first.
        traceback: The original traceback as text, also across processes.
        run: The record of the failed run.
    """

    def __init__(
        self,
        message: str,
        ref: str | None = None,
        stage: str | None = None,
        traceback: str | None = None,
        run: Any = None,
    ) -> None:
        super().__init__(message, ref)
        self.stage = stage
        self.traceback = traceback
        self.run = run
        self.args = (message, ref, stage, traceback, run)


class StageTimeoutError(WorkflowError):
    """A stage ran longer than its ``timeout``; how much of its work was done is unknown."""


class RunStoreWarning(UserWarning):
    """Base of every warning runstore gives."""


class UnreadableWarning(RunStoreWarning):
    """A listing left out something that cannot be read; the message names it."""


class UnusedConfigWarning(RunStoreWarning):
    """A Config was given to a run, and its selector does not select the workflow."""


class AmbiguousYamlWarning(RunStoreWarning):
    """A YAML file has a word that some readers take as text and others as true or false."""
