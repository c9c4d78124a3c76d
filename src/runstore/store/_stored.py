"""The verbs on stored objects that need no value: is one there, what is it, list, remove, copy."""

import builtins
from abc import ABC, abstractmethod

from runstore.arguments import check_choice, check_flag, check_text
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import Scope
from runstore.objects import ObjectInfo, missing
from runstore.store._shown import ObjectList
from runstore.store._target import Target, copied_to, place_of

__all__ = ["StoredVerbs"]


class StoredVerbs(ABC):
    """The verbs on stored objects as they are."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def exists(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
    ) -> bool:
        """Return whether an object is stored under *name*; arguments and errors as for `get`.

        An outage raises an error; it is never reported as False.
        """
        target = self._target()
        try:
            place = place_of("exists", target, name, scope, run, namespace, workflow)
        except ObjectNotFoundError:  # no such run
            return False
        return target.objects.exists(place)

    def stat(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
    ) -> ObjectInfo:
        """Describe the object stored under *name*, without loading it.

        Arguments and errors as for `get`.
        """
        target = self._target()
        place = place_of("stat", target, name, scope, run, namespace, workflow)
        try:
            return target.objects.stat(place)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc

    def list(
        self,
        prefix: str = "",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        details: bool = False,
    ) -> "builtins.list[ObjectInfo]":
        """Describe the objects whose names begin with *prefix*, sorted by name.

        Temporary and foreign files are never shown. Objects put or deleted
        meanwhile may or may not be seen. For more objects than fit into memory, use `iter`.

        Args:
            prefix: Plain text; ``train`` matches ``train/x`` and ``training``.
            scope, run, namespace: As for `get`.
            details: Read what each object says about itself, too; one more request each.
        """
        check_text("list", "prefix", prefix)
        check_flag("list", "details", details)
        target = self._target()
        at = place_of("list", target, "any", scope, run, namespace)
        found = target.objects.list(at.namespace, at.run, prefix, details=details)
        return ObjectList(sorted(found, key=lambda info: info.name))

    def delete(self, name: str, *, scope: Scope = "run", missing_ok: bool = False) -> None:
        """Remove the object stored under *name*; no reader finds it afterwards.

        Values that were read from it stay valid.

        Args:
            name: As it was put.
            scope: ``run`` or ``namespace``.
            missing_ok: Do not fail if nothing is stored there.

        Raises:
            ObjectNotFoundError: Nothing is stored there, unless *missing_ok*.
            StorageError: The place failed.
        """
        check_flag("delete", "missing_ok", missing_ok)
        target = self._target()
        place = place_of("delete", target, name, scope, None, None)
        try:
            target.writable().delete(place)
        except ObjectNotFoundError as exc:
            if not missing_ok:
                raise missing(target.objects, place) from exc

    def copy(
        self,
        name: str,
        *,
        to_name: str | None = None,
        to_scope: Scope | None = None,
        to_run: str | None = None,
        to_namespace: str | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Store an object a second time under another name or scope, without decoding it.

        ``copy("model", to_scope="namespace")`` promotes a run's model. All or
        nothing, like `put`; the copy keeps type, metadata and creation time. On S3 and on a disk
        a large object is copied by the server or the kernel, and only its footer is checked.

        Args:
            name: As it was put.
            to_name: By default the same name.
            to_scope: By default the source's scope, ``run`` if *to_run* is given.
            to_run: By default the source's run.
            to_namespace: By default the source's namespace.
            scope, run, namespace: Where the source is, as for `get`.
            if_absent: Fail instead of replacing.

        Returns:
            The copy, as this call wrote it.

        Raises:
            InvalidRequestError: Source and target are the same.
            ObjectNotFoundError: Nothing is stored under *name*.
            ObjectExistsError: *if_absent* and the target is taken.
            CorruptObjectError: The part of the source that was read is damaged; nothing was
                written.
            StorageError: The place failed; an old target is intact.
            IndeterminateWriteError: It is unknown whether the copy was written.
        """
        check_flag("copy", "if_absent", if_absent)
        check_choice("copy", "to_scope", to_scope, ("run", "namespace", None))
        target = self._target()
        source = place_of("copy", target, name, scope, run, namespace)
        copy = copied_to(target, source, to_name, to_scope, to_run, to_namespace)
        if copy == source:
            raise InvalidRequestError(
                f"copy {source}: source and target are the same; give to_name, to_scope, to_run or "
                "to_namespace",
                str(source),
            )
        try:
            return target.writable().copy(source, copy, if_absent=if_absent)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, source) from exc
