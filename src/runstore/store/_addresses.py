"""The verbs that hand objects to other programs: where they are, and how to get in."""

import os
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from runstore.arguments import check_choice, unfit
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import Scope, key_of
from runstore.objects import is_seal, made_of_parts, missing
from runstore.places import Backend
from runstore.store._files import local_path
from runstore.store._target import Target, place_of

__all__ = ["AddressVerbs", "Method", "Reader", "SecretOptions"]

Reader = Literal["pandas", "polars", "duckdb", "pyarrow"]
Method = Literal["GET", "HEAD", "PUT"]

_LONGEST = 7 * 86_400  # seconds; what AWS' signature allows


class SecretOptions(dict[str, Any]):
    """Options that hold secrets: a dict that shows none of its values, and cannot be pickled.

    ``dict(options)`` is a plain one.
    """

    def __repr__(self) -> str:
        return f"SecretOptions({', '.join(f'{name}=***' for name in self)})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise InvalidRequestError(
            "storage options hold credentials, which do not go into a pickle: ask for them in the "
            "process that needs them"
        )


class AddressVerbs(ABC):
    """The verbs that hand objects to other programs, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def url(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return the URL of the stored file of an object, for other readers.

        With `storage_options`, pandas, polars, DuckDB and pyarrow read it. It names the object and
        not one version of it. On a local disk it is a ``file://`` URL; a path with characters that
        a URL would escape is given as a path, since readers differ in what they make of it.

        Args:
            name: As it was put.
            scope, run, namespace: As for `get`.

        Raises:
            ObjectNotFoundError: Nothing is stored there.
            InvalidRequestError: It is no single file: an object of parts, a folder, or an object
                in memory.
            StorageError: The place failed.
        """
        target = self._target()
        place = place_of("url", target, name, scope, run, namespace)
        try:
            info = target.objects.stat(place)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc
        if is_seal(info):
            raise made_of_parts("url", place, info.python_type == "folder")
        backend, key = target.objects.backend, key_of(place)
        if (stored := local_path(backend, key)) is not None:
            path = os.fspath(stored)
            return f"file://{path}" if quote(path, safe="/-_.~=+,:@") == path else path
        if backend.url.startswith("memory://"):
            raise _in_memory("url", backend)
        return f"{backend.url}/{key}"

    def storage_options(self, reader: Reader) -> dict[str, Any]:
        """Return the options with which another library reads the store's files by their `url`.

        They hold the credentials that runstore itself uses, as they are now: those of a role end
        after a while. The dict shows no values and cannot be pickled. On a local disk it is empty.

        Args:
            reader: ``pandas`` for its ``storage_options=``, also of Dask and other readers by
                fsspec; ``polars`` for its ``storage_options=``; ``duckdb`` for
                ``register_filesystem(fsspec.filesystem("s3", **options))``; ``pyarrow`` for
                ``pyarrow.fs.S3FileSystem(**options)``.

        Raises:
            InvalidRequestError: There is no such *reader*, or it has no options for this place.
            AccessDeniedError: There are no credentials.
        """
        check_choice("storage_options", "reader", reader, ("pandas", "polars", "duckdb", "pyarrow"))
        backend = self._target().objects.backend
        if backend.url.startswith("file://"):
            return SecretOptions()
        if backend.url.startswith("memory://"):
            raise _in_memory("storage_options", backend)
        make = getattr(backend, "reader_options", None)
        if make is None:
            raise InvalidRequestError(
                f"storage_options: {backend.url} has none for {reader}: read runstore:// with "
                "fsspec, as docs/filesystem.md shows"
            )
        return SecretOptions(make(reader))

    def presign(
        self,
        name: str,
        expires_in: float | timedelta,
        method: Method = "GET",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return a URL with which whoever has it may read or write the file for a while.

        It needs no credentials, so treat it as one: a browser, ``curl`` or ``urllib`` opens it.
        Nothing is asked of the place, not even whether the object is there.

        Args:
            name: As it was put.
            expires_in: Seconds from now on, 1 to 604,800, or a timedelta. Credentials of a role
                may end before.
            method: The request that it is for: ``GET``, ``HEAD``, or ``PUT`` to upload a file of
                the name's format, which is not looked at before it is stored.
            scope, run, namespace: As for `get`; only the current run is written to.

        Raises:
            InvalidRequestError: The place has no such URLs, or does not sign its requests; or
                *expires_in* or *method* is none.
            StaleRunError: *method* is ``PUT``, and the run of this code has ended.
            AccessDeniedError: There are no credentials.
        """
        seconds = _seconds(expires_in)
        check_choice("presign", "method", method, ("GET", "HEAD", "PUT"))
        target = self._target()
        if method == "PUT" and (run is not None or namespace is not None):
            raise InvalidRequestError(
                "presign: only the current run is written to; omit run= and namespace=, or make a "
                "view with .at()"
            )
        place = place_of("presign", target, name, scope, run, namespace)
        key = key_of(place)
        objects = target.writable() if method == "PUT" else target.objects
        make = getattr(objects.backend, "presigned", None)
        if make is None:
            raise InvalidRequestError(
                f"presign: only S3, Google and Azure have URLs of that kind, and not "
                f"{objects.backend.url}: give out the file itself, with get_file()",
                str(place),
            )
        return str(make(key, seconds, method))


def _seconds(value: object) -> int:
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise unfit("presign", "expires_in", "a number of seconds or a timedelta", value)
    if not 1 <= given <= _LONGEST:  # NaN is not
        raise unfit("presign", "expires_in", f"from 1 to {_LONGEST:,} seconds", value)
    return int(given)


def _in_memory(call: str, backend: Backend) -> InvalidRequestError:
    return InvalidRequestError(
        f"{call}: {backend.url} is in the memory of this process, where no other reader looks: "
        "get() the value, or open() the file"
    )
