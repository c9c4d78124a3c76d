"""What checks and audits of a whole store find: plain, frozen data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from runstore.errors import CorruptObjectError, RunStoreError
from runstore.keys import SHARED

__all__ = ["Audit", "Finding", "FindingKind", "RunUsage", "Verified"]

FindingKind = Literal["pickle", "unsigned", "foreign", "newer", "unreadable", "unsealed"]


class Verified(NamedTuple):
    """What was found of one object or record.

    Attributes:
        ref: Its name; of an object whose name cannot be read, its key.
        size: Stored bytes.
        error: Why it is damaged or could not be checked, or None.
        has_digest: False if files of its format have no digest, so that nothing was checked.
        resumed: Whether an earlier check found it whole, of which the journal is; it was not read.
    """

    ref: str
    size: int
    error: RunStoreError | None = None
    has_digest: bool = True
    resumed: bool = False

    @property
    def damaged(self) -> bool:
        """Whether its bytes are wrong. If not, *error* says why that is not known."""
        return isinstance(self.error, CorruptObjectError)

    def _repr_html_(self) -> str:
        from runstore.upkeep._shown import verified_html

        return verified_html(self)


class Finding(NamedTuple):
    """One object or file that an audit names.

    Attributes:
        kind: ``pickle``: loading it unpickles something. ``unsigned``: it has no signature,
            although the store's policy is ``signed``. ``foreign``: runstore did not write it.
            ``newer``: it is of a newer format than this runstore reads. ``unreadable``: what
            describes it is damaged, or may not be read; also a run record that is, and a folder
            that may not be listed. ``unsealed``: it has parts that no seal
            names; of those that are pickles or not signed each is a finding, too.
        ref: The object, or the key of a file that is none.
        size: Stored bytes.
        detail: What there is to say: its type, or the error.
    """

    kind: FindingKind
    ref: str
    size: int
    detail: str


@dataclass(frozen=True)
class RunUsage:
    """What one run has stored.

    Attributes:
        namespace: Where.
        run: The run; None for what the namespace's runs share.
        objects: How many.
        size: Their bytes, with those of their parts.
        recorded: Whether there is a record of it.
    """

    namespace: str
    run: str | None
    objects: int
    size: int
    recorded: bool

    @property
    def ref(self) -> str:
        """Its name, as the command line has it."""
        return f"{self.namespace}/{self.run or SHARED}"


@dataclass(frozen=True)
class Audit:
    """What an audit found. All of it is plain data.

    Attributes:
        store: Where.
        objects: How many objects there are.
        size: Their stored bytes, with those of their parts.
        records: How many run records there are.
        signed, pickled: How many objects are signed, and how many unpickle something when loaded.
        runs: What each run has stored, the largest first.
        formats: Number of objects by format: ``arrow``, or the name's extension.
        types: Number of objects by the type of their value, where the object says it.
        versions: By library and version, the number of objects that were written with it.
        findings: The objects and files to look at, by kind and name.
    """

    store: str
    objects: int
    size: int
    records: int
    signed: int
    pickled: int
    runs: tuple[RunUsage, ...]
    formats: dict[str, int]
    types: dict[str, int]
    versions: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]

    def of(self, kind: FindingKind) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(found for found in self.findings if found.kind == kind)

    def _repr_html_(self) -> str:
        from runstore.upkeep._shown import audit_html

        return audit_html(self)
