"""The methods for several objects at once."""

import builtins
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runstore.arguments import check_flag, check_keys, texts
from runstore.codecs import small_kinds
from runstore.errors import BulkError, InvalidNameError, ObjectNotFoundError, UnsupportedValueError
from runstore.keys import Place, Scope, key_of
from runstore.objects import ObjectInfo, missing
from runstore.steps import Report, reporting
from runstore.store._small import put_small
from runstore.store._target import RAISE, Target, check_scope, place_of
from runstore.workers import StoppedError, Workers, awaited, check_stopped

__all__ = ["BulkVerbs"]

# Items of a *_many call under way at a time: on a disk the cores decide, far away the latency.
_AT_ONCE_NEAR, _AT_ONCE_FAR = 8, 32
_WORTH_THREADS = 0.002  # seconds that an item takes; a small one takes a twentieth of it
_AFTER_SLOW_ONES = 64  # items that are done in threads
_DOING = {"put": "storing", "get": "reading", "delete": "deleting"}
_PAST = {"put": "stored", "get": "read", "delete": "deleted"}


class BulkVerbs(ABC):
    """The verbs for several objects, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def put_many(
        self, values: Mapping[str, Any], *, scope: Scope = "run", if_absent: bool = False
    ) -> dict[str, ObjectInfo]:
        """Store several values, some at a time; each all or nothing, not all together.

        Args:
            values: Name to value.
            scope, if_absent: As for `put`.

        Returns:
            Name to what was stored, in the order of *values*.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name, ``results`` the rest.
        """
        check_keys("put_many", "values", values)
        check_flag("put_many", "if_absent", if_absent)
        target = self._target()
        check_scope("put_many", target, scope, None, None)  # once, and not for each name

        objects = target.writable()

        def one(name: str) -> ObjectInfo:
            value = values[name]
            if type(value) in small_kinds and type(name) is str and if_absent is False:
                stored = put_small(target, name, value, scope)
                if stored is not None:
                    return stored
            return objects.put(
                place_of("put_many", target, name, scope, None, None),
                value,
                if_absent=if_absent,
                workflow=target.workflow,
                stage=target.stage,
            )

        return _each("put", one, values, target)

    def get_many(
        self,
        names: Iterable[str],
        *,
        default: Any = RAISE,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return several values by name, read some at a time, in the order of *names*.

        Args:
            names: As they were put.
            default: The value of names under which nothing is stored.
            scope, run, namespace: As for `get`.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name, ``results`` the rest.
        """
        names = texts("get_many", "names", names)
        target = self._target()
        check_scope("get_many", target, scope, run, namespace)

        def one(name: str) -> Any:
            place = place_of("get_many", target, name, scope, run, namespace)
            try:
                return target.objects.get(place)
            except ObjectNotFoundError as exc:
                if default is not RAISE:
                    return default
                raise missing(target.objects, place, alone=len(names) == 1) from exc

        return _each("get", one, names, target)

    def delete_many(
        self, names: Iterable[str], *, scope: Scope = "run", missing_ok: bool = False
    ) -> None:
        """Remove several objects, some at a time.

        Args:
            names: As they were put.
            scope, missing_ok: As for `delete`.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name. The others are gone.
        """
        names = texts("delete_many", "names", names)
        check_flag("delete_many", "missing_ok", missing_ok)
        target = self._target()
        check_scope("delete_many", target, scope, None, None)
        errors: dict[str, Exception] = {}
        places: dict[str, Place] = {}
        for name in names:
            try:
                places[name] = place_of("delete_many", target, name, scope, None, None)
                key_of(places[name])
            except InvalidNameError as exc:
                places.pop(name, None)
                errors[name] = exc
        failed = target.writable().delete_many(places.values(), missing_ok=missing_ok)
        for name, place in places.items():
            if isinstance(failed.get(place), ObjectNotFoundError):
                errors[name] = missing(target.objects, place, alone=len(names) == 1)
            elif place in failed:
                errors[name] = failed[place]
        if errors:
            done = dict.fromkeys(name for name in names if name not in errors)
            raise _bulk("delete", names, errors, done)


def _each(
    verb: str, one: Callable[[str], Any], names: Iterable[str], target: Target
) -> dict[str, Any]:
    names = builtins.list(dict.fromkeys(names))
    results: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    at_once = _AT_ONCE_NEAR if target.objects.backend.guarantees.mapped else _AT_ONCE_FAR
    under_way: dict[str, None] = {}  # begun, and without a result or an error so far

    def begun(name: str) -> Any:
        under_way[name] = None
        try:
            result = one(name)
        except Exception:
            del under_way[name]
            raise
        except (KeyboardInterrupt, StoppedError):  # these end the call
            raise
        except BaseException as exc:  # SystemExit or its like, of code that the value brings
            del under_way[name]
            raise UnsupportedValueError(
                f"{name!r} could not be {_PAST[verb]}: its own code raised {type(exc).__name__}",
                name,
            ) from exc
        del under_way[name]
        return result

    report = reporting(f"{_DOING[verb]} {len(names):,} objects", len(names))

    def in_threads(some: Sequence[str]) -> None:
        with Workers(min(at_once, max(1, len(some))), f"runstore-{verb}") as workers:
            futures = {name: workers.submit(begun, name) for name in some}
            for name, future in futures.items():
                try:
                    results[name] = awaited(future)
                except Exception as exc:  # noqa: BLE001 - kept as the outcome of this item alone
                    errors[name] = exc
                report.add()

    try:
        if at_once == _AT_ONCE_FAR:
            in_threads(names)
        elif names and threading.current_thread() is threading.main_thread():
            # Signals come to this thread, and code of a value that waits would not hear them.
            with Workers(1, f"runstore-{verb}") as worker:
                awaited(worker.submit(_by_turns, names, begun, in_threads, results, errors, report))
        else:
            _by_turns(names, begun, in_threads, results, errors, report)
    except BaseException as interrupt:
        if verb == "put" and (unknown := builtins.list(under_way)):
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            interrupt.add_note(
                f"{', '.join(map(repr, unknown[:5]))}{more} were being put when that was "
                "interrupted: they may still appear. Look before you put them again."
            )
        raise
    finally:
        report.end()
    if errors:
        raise _bulk(verb, names, errors, results)
    return results


def _by_turns(
    names: Sequence[str],
    begun: Callable[[str], Any],
    in_threads: Callable[[Sequence[str]], None],
    results: dict[str, Any],
    errors: dict[str, Exception],
    report: Report,
) -> None:
    """Do quick items in this thread; after two slow ones in a row, use several threads.

    For small objects on a disk or in memory most of the time is Python's own. Threads would only
    take turns at it, and the switches cost more than they save.
    """
    position = slow = 0
    while position < len(names):
        check_stopped()
        name, begin = names[position], time.perf_counter()
        position += 1
        try:
            results[name] = begun(name)
        except Exception as exc:  # noqa: BLE001 - kept as the outcome of this item alone
            errors[name] = exc
        report.add()
        slow = slow + 1 if time.perf_counter() - begin > _WORTH_THREADS else 0
        if slow >= 2:  # one alone may have waited for the system
            in_threads(names[position : position + _AFTER_SLOW_ONES])
            position, slow = position + _AFTER_SLOW_ONES, 1


def _bulk(
    verb: str, names: Sequence[str], errors: dict[str, Exception], results: dict[str, Any]
) -> BulkError:
    first = "; ".join(
        f"{name}: {str(error) or type(error).__name__}"
        for name, error in builtins.list(errors.items())[:3]
    )
    return BulkError(
        f"{len(errors)} of {len(names)} objects could not be {_PAST[verb]} ({first}"
        f"{'; …' if len(errors) > 3 else ''})",
        None,
        errors,
        results,
    )
