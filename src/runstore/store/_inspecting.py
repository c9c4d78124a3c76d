"""The methods of a store that look at what is in it: whether it is whole, what it is, what differs.

Each returns data; the command line and others show it.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator

from runstore import store  # types of results are loaded when they are needed
from runstore.arguments import check_count, check_flag, check_text
from runstore.errors import InvalidNameError, InvalidRequestError
from runstore.keys import key_beginning
from runstore.names import check_namespace, check_run
from runstore.store._objects import Objects

__all__ = ["InspectingStore"]

_AT_ONCE = 4  # objects that are checked; each may be in memory whole where it is not mapped


class InspectingStore(ABC):
    """What looks at a whole store, on whatever `_objects` gives."""

    @property
    @abstractmethod
    def _objects(self) -> Objects:
        """The objects of the store; raises if it was closed."""

    def verify(
        self,
        namespace: str | None = None,
        run: str | None = None,
        prefix: str = "",
        *,
        shared: bool = False,
        journal: str | os.PathLike[str] | None = None,
        workers: int = _AT_ONCE,
    ) -> "Iterator[store.Verified]":
        """Check objects and run records, some at a time: every byte is read, nothing is unpickled.

        Digests, the structure of Arrow files, whether each object stands under its own key, and of
        objects of parts whether all parts are those that the seal names. Parts that no seal names
        are checked, too. Files that are not ours are passed over, and so is what is deleted
        meanwhile. What is found comes as it is found: a damaged object is an item of the result,
        not an error, and so is a folder that may not be listed. An object of 32 MiB and more far
        away is read in pieces; so is none under the policy ``signed``.

        Args:
            namespace: Only what is in this one.
            run: Only this run of it: its objects, and its record if there is no *prefix*.
            prefix: Only objects of the scope whose names begin so.
            shared: Only what the runs of the namespace share.
            journal: A file that keeps what was found whole. If a check is stopped, the same call
                goes on where it was; what was written since is read again. After a check that came
                to its end the journal begins anew.
            workers: How many objects are checked at a time, up to 64.

        Returns:
            An iterator, which raises what is below when it is used.

        Raises:
            InvalidNameError: *namespace*, *run* or *prefix* cannot be one; at once.
            InvalidRequestError: The arguments do not fit; at once. *journal* is of another check.
            BackendUnavailableError: The place could not be reached; nothing is known of the rest.
            BucketNotFoundError: The place does not exist.
            StorageError: It cannot be listed, or the journal cannot be written.
        """
        from runstore.upkeep import verified

        _check_scope("verify", namespace, run)
        check_text("verify", "prefix", prefix, error=InvalidNameError)
        key_beginning(prefix)
        check_flag("verify", "shared", shared)
        check_count("verify", "workers", workers)
        if workers > _MOST_WORKERS:
            raise InvalidRequestError(f"verify: workers must be {_MOST_WORKERS} at most")
        if shared and (namespace is None or run is not None):
            raise InvalidRequestError("verify: shared=True needs namespace=, and no run=")
        if prefix and run is None and not shared:
            raise InvalidRequestError("verify: prefix= needs namespace= with run= or shared=True")
        if journal is not None and not isinstance(journal, (str, os.PathLike)):
            raise InvalidRequestError(
                f"verify: journal must be a path, not {type(journal).__name__}"
            )
        self._objects  # noqa: B018 - raises if it is closed
        return verified(
            self,  # type: ignore[arg-type]
            namespace,
            run,
            prefix,
            shared=shared,
            journal=journal,
            workers=workers,
        )

    def audit(self, namespace: str | None = None, run: str | None = None) -> "store.Audit":
        """Return what the store holds: pickles, unsigned objects, files of others, versions, sizes.

        No value is read: the place is listed, and of each object with a header the end is read,
        one request each; of parts that no seal names, too, and each run record. Sizes are those of
        all files. What it finds is told, also a folder that may not be listed; nothing of it is an
        error.

        Args:
            namespace: Only of this one.
            run: Only of this run of it.

        Raises:
            InvalidNameError: *namespace* or *run* cannot be one.
            InvalidRequestError: *run* without *namespace*.
            StorageError: The place failed.
        """
        from runstore.upkeep import audited

        _check_scope("audit", namespace, run)
        return audited(self, namespace, run)  # type: ignore[arg-type]

    def diff(self, one: str, other: str) -> "store.ObjectDiff | store.RunDiff":
        """Return what differs between two objects, or two runs.

        Of two tables: columns, types, numbers of rows, and by column in how many of the rows that
        both have, by their position, the values differ; a few pieces of each are in memory, of an
        object that was put whole all of it, unless it is mapped. Of plain data each value that
        differs. Nothing is unpickled: pickles are compared by their digests.

        Of two runs: input, config, code, stages and libraries as the records have them, and which
        objects only one has or have other content. That takes a request for each object.

        Args:
            one, other: Two objects, ``<namespace>/<run>/<name>`` or a reference, or two runs,
                ``<namespace>/<run>``; ``_shared`` stands for what the runs share.

        Returns:
            `ObjectDiff` or `RunDiff`; both have ``equal``.

        Raises:
            InvalidNameError: One is neither.
            InvalidRequestError: One is an object and one is a run.
            ObjectNotFoundError: One is not there.
            PreconditionFailedError: One is a reference to a version that was replaced.
            CorruptObjectError: One is damaged.
            StorageError: The place failed.
        """
        from runstore.store._diff import diff_objects
        from runstore.store._diff_runs import diff_runs
        from runstore.store._named import named
        from runstore.store._refs import check_referred

        sides = named("diff", "one", one), named("diff", "other", other)
        if bool(sides[0].name) != bool(sides[1].name):
            raise InvalidRequestError(
                "diff: one is an object and one is a run: give two objects or two runs"
            )
        objects = self._objects
        if not sides[0].name:
            runs = [(side.namespace, side.run or "") for side in sides]
            return diff_runs(self, *runs)  # type: ignore[arg-type]
        for side in sides:
            if side.ref is not None:
                check_referred(objects, side.ref)
        return diff_objects(objects, sides[0].place, sides[1].place)


_MOST_WORKERS = 64


def _check_scope(call: str, namespace: str | None, run: str | None) -> None:
    check_text(call, "namespace", namespace, optional=True, error=InvalidNameError)
    check_text(call, "run", run, optional=True, error=InvalidNameError)
    if namespace is not None:
        check_namespace(namespace)
    if run is not None:
        check_run(run)
        if namespace is None:
            raise InvalidRequestError(f"{call}: run= needs namespace=, too")
