"""What is kept and what goes: clean-up, pins, tags and notes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import timedelta

from runstore import runs, store  # types of results are loaded when they are needed
from runstore.arguments import (
    check_age,
    check_flag,
    check_seconds,
    check_text,
    texts,
    unfit,
)
from runstore.context import default_namespace
from runstore.errors import InvalidNameError, InvalidRequestError, ObjectNotFoundError
from runstore.keys import Place, key_of, record_key
from runstore.names import check_namespace, check_run
from runstore.objects import check_lease
from runstore.places import Backend

__all__ = ["KeepingVerbs"]


class KeepingVerbs(ABC):
    """The verbs of a store on whole runs that say what stays and what goes."""

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """What keeps the bytes."""

    def plan_gc(
        self,
        keep_last: int | None = None,
        keep_finished: int | None = None,
        older_than: "float | str | timedelta | None" = None,
        workflow: str | None = None,
        namespace: str | None = None,
        orphans: bool = True,
    ) -> "store.GcPlan":
        """Return what clean-up would remove, and why. Nothing is removed before `GcPlan.apply`.

        A run goes when each rule that is given lets it go. A rule that is not given is that of the
        run's workflow: ``spec.retention`` of its newest run's definition. Without any rule no run
        goes. These never go: runs that are pinned, that go on, that a run that goes on refers to,
        whose record cannot be read; and, unless *keep_finished* is 0, the newest finished run of
        each workflow.

        Runs without a record, such as those of `run_context`, go by *older_than* alone, and only if
        it is given here: by the time of their newest object.

        Args:
            keep_last: Keep the newest so many runs of each workflow, whatever became of them.
            keep_finished: Keep the newest so many of each workflow that have finished; by
                default 1.
            older_than: Keep runs that ended less than so long ago: seconds, a `timedelta`, or
                text like ``12h``, ``30d``, ``8w``.
            workflow: Only runs of this workflow.
            namespace: Only this namespace; by default all.
            orphans: Look also for what is of nothing any more: files and uploads of interrupted
                writes, after a day; parts that no seal names, after a week; marks of runs that are
                gone. Those of writes are of no namespace and no workflow: with one of them
                given they are left out.

        Raises:
            InvalidRequestError: A rule is no number or age.
            InvalidNameError: *namespace* cannot be one.
            StorageError: The place failed.
        """
        from runstore.upkeep import GcRequest, Rules, planned

        for argument, value in (("keep_last", keep_last), ("keep_finished", keep_finished)):
            if value is not None and (type(value) is not int or not 0 <= value < 1 << 62):
                raise unfit("plan_gc", argument, "a whole number from 0, or None", value)
        age = check_age("plan_gc", "older_than", older_than)
        check_text("plan_gc", "workflow", workflow, optional=True)
        check_text("plan_gc", "namespace", namespace, optional=True, error=InvalidNameError)
        check_flag("plan_gc", "orphans", orphans)
        if namespace is not None:
            check_namespace(namespace)
        rules = Rules(keep_last, keep_finished, age)
        return planned(self, GcRequest(rules, namespace, workflow, orphans, time.time()))  # type: ignore[arg-type]

    def sweep(self, older_than: float | None = None) -> int:
        """Remove what interrupted writes left, and return how many files there were.

        That is temporary files, and parts of objects that no seal names. On a disk, no put that is
        under way is harmed, whatever its age and host. On a disk without file locks no temporary
        file of a large object is removed, with an `UnreadableWarning`.

        Args:
            older_than: Seconds since anything was written to it; of parts, since the last part of
                the object was put and since the object was sealed. By default an hour for
                temporary files, and 7 days for parts: a loop that has stopped may go on later,
                and who reads an object goes on with the seal that it has read.

        Raises:
            StorageError: The place failed.
        """
        from runstore.upkeep import swept

        if older_than is not None:
            check_seconds("sweep", "older_than", older_than, zero=True, most=_OLDEST)
        return swept(self, older_than)  # type: ignore[arg-type]

    def pin(self, run: str, *, namespace: str | None = None, note: str = "") -> None:
        """Keep a run, with all it has stored, from clean-up, until `unpin`.

        Once this returns, no clean-up removes it, also none that is under way. `delete_run` does.

        Args:
            run: The run; it need not have a record.
            namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
            note: Why, for people; at most 64 KiB. `marks` has it as ``pin_note``.

        Raises:
            InvalidNameError: *run* or *namespace* cannot be one.
            InvalidRequestError: *note* is too long.
            ObjectNotFoundError: There is no such run, or it is being removed.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        space = _scope("pin", run, namespace)
        check_text("pin", "note", note)
        _check_note("pin", note)
        check_lease()
        runs.set_mark(self.backend, None, space, run, "pin", note)
        try:
            self._must_be_there(space, run)  # after the pin: a clean-up looks the other way round
        except ObjectNotFoundError:
            runs.remove_marks(self.backend, None, space, run, "pin")
            raise

    def unpin(self, run: str, *, namespace: str | None = None) -> None:
        """Let clean-up remove a run again; nothing happens if it is not pinned.

        Args:
            run, namespace: As for `pin`.

        Raises:
            InvalidNameError: *run* or *namespace* cannot be one.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        space = _scope("unpin", run, namespace)
        check_lease()
        runs.remove_marks(self.backend, None, space, run, "pin")

    def tag(
        self,
        run: str | None,
        tags: Iterable[str],
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Add tags to a run, or to one of its objects; those that it has stay.

        A tag belongs to the name: an object that is put again under the name has it, too.

        Args:
            run: The run; None, with *name*, for an object that the namespace's runs share.
            tags: Short texts, as ``["reviewed", "team=ads"]``, of at most 64 bytes each.
            name: The object; by default the run itself.
            namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.

        Raises:
            InvalidNameError: A tag, *run*, *name* or *namespace* cannot be one.
            ObjectNotFoundError: There is no such run or object.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        space, place, wanted = self._marked("tag", run, name, namespace, tags)
        for tag in wanted:
            runs.set_mark(self.backend, place, space, run, "tag", tag)

    def untag(
        self,
        run: str | None,
        tags: Iterable[str],
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Remove tags of a run, or of one of its objects; those that it has not are passed over.

        Args:
            run, tags, name, namespace: As for `tag`.

        Raises:
            InvalidNameError: A tag, *run*, *name* or *namespace* cannot be one.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        space, place, wanted = self._marked("untag", run, name, namespace, tags, there=False)
        runs.remove_marks(self.backend, place, space, run, "tag", wanted)

    def note(
        self,
        run: str | None,
        text: str,
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Set the note of a run, or of one of its objects, instead of the one it has.

        Args:
            run, name, namespace: As for `tag`.
            text: The note; an empty one removes it. At most 64 KiB.

        Raises:
            InvalidNameError: *run*, *name* or *namespace* cannot be one.
            InvalidRequestError: *text* is too long.
            ObjectNotFoundError: There is no such run or object.
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed.
        """
        check_text("note", "text", text)
        _check_note("note", text)
        space, place, _ = self._marked("note", run, name, namespace, (), there=bool(text))
        if text:
            runs.set_mark(self.backend, place, space, run, "note", text)
        else:
            runs.remove_marks(self.backend, place, space, run, "note")

    def marks(self, run: str | None, *, namespace: str | None = None) -> "runs.Marks":
        """Return the pin, the tags and the note of a run, and those of its objects.

        Args:
            run: The run; None for the objects that the namespace's runs share.
            namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.

        Returns:
            Without any mark an empty `Marks`, also if there is no such run.

        Raises:
            InvalidNameError: *run* or *namespace* cannot be one.
            StorageError: The place failed.
        """
        return runs.read_marks(self.backend, _scope("marks", run, namespace, optional=True), run)

    def _marked(
        self,
        call: str,
        run: str | None,
        name: str | None,
        namespace: str | None,
        tags: Iterable[str],
        *,
        there: bool = True,
    ) -> tuple[str, Place | None, list[str]]:
        """Check what a mark is to be set on, and return namespace, object and tags."""
        check_text(call, "name", name, optional=True, error=InvalidNameError)
        space = _scope(call, run, namespace, optional=name is not None)
        place = None if name is None else Place(space, run, name)
        if place is not None:
            key_of(place)
        wanted = [runs.check_tag(call, tag) for tag in texts(call, "tags", tags)]
        check_lease()
        if there and place is not None:
            try:
                self.backend.head(key_of(place))
            except ObjectNotFoundError as exc:
                raise ObjectNotFoundError(
                    f"{call}: there is no object {str(place)!r} ({self.backend.url})", str(place)
                ) from exc
        elif there:
            assert run is not None
            self._must_be_there(space, run)
        return space, place, wanted

    def _must_be_there(self, namespace: str, run: str) -> None:
        ref = f"{namespace}/{run}"
        try:
            self.backend.head(record_key(namespace, run))
        except ObjectNotFoundError as exc:
            if next(runs.objects_of_run(self.backend, namespace, run), None) is not None:
                return
            error = ObjectNotFoundError(
                f"no run {run!r} in namespace {namespace!r} ({self.backend.url})", ref
            )
            error.look = lambda: runs.near_runs(self.backend, namespace, run)
            raise error from exc
        if runs.removal_of(self.backend, namespace, run) is not None:
            raise ObjectNotFoundError(f"the run {ref!r} is being removed", ref)


_OLDEST = 100 * 365 * 86_400.0  # seconds; file systems and Python know no older times
_LONGEST_NOTE = 64 * 1024


def _check_note(call: str, text: str) -> None:
    if len(text.encode(errors="replace")) > _LONGEST_NOTE:
        raise InvalidRequestError(
            f"{call}: the text is longer than 64 KiB: put() it as an object, and note its name"
        )


def _scope(call: str, run: str | None, namespace: str | None, *, optional: bool = False) -> str:
    """Check run and namespace, and return the namespace."""
    check_text(call, "run", run, optional=optional, error=InvalidNameError)
    check_text(call, "namespace", namespace, optional=True, error=InvalidNameError)
    if run is not None:
        check_run(run)
    return default_namespace() if namespace is None else check_namespace(namespace)
