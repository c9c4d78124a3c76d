"""Google Cloud Storage through obstore: ``gs://bucket/prefix``.

The options are those of gcsfs, which is used where obstore is not installed, does not know an
option, or would have to look for credentials.
"""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from runstore.errors import InvalidRequestError, MissingExtraError, SettingsError
from runstore.places._cloud._attended import attended
from runstore.places._cloud._services import ServiceBackend, ServiceClient
from runstore.places._cloud._wire import Failure, quoted
from runstore.places._guarantees import Guarantees
from runstore.places._registry import Opening, shown_url

__all__ = ["GoogleBackend", "is_understood", "open_google"]

_KNOWN = frozenset({"token", "project", "endpoint_url"})
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_WELL_KNOWN = ".config/gcloud/application_default_credentials.json"  # of `gcloud auth`
_ANONYMOUS = "anon"
_HOST = "storage.googleapis.com"
_CODES = {"UserProjectMissing": "AccessDenied"}  # the others are those of S3


class GoogleBackend(ServiceBackend):
    """Objects in a bucket of Google Cloud Storage, by the XML API."""

    promised = Guarantees(
        atomic_put="native",
        create=None,
        compare_and_swap=None,
        ranges=True,
        versions="content",  # by the ETag; the generation is in no listing of obstore
        server_copy=False,
        mapped=False,
        shared=True,
    )
    variables = (_CREDENTIALS, "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "HOME")

    def _client(self, timeout: float) -> tuple[ServiceClient, str]:
        settings = _settings(self._options)
        host = _endpoint(self._options) or f"https://{_HOST}"
        make = partial(_store, self._bucket, settings)
        where = f"gs://{self._bucket}"
        return _GoogleClient(where, timeout, make, host, _CODES), host

    def presigned(self, key: str, seconds: int, method: str) -> str:
        """See `ServiceBackend.presigned`."""
        if _settings(self._options).get("skip_signature"):
            raise self._unsigned(key)
        with self._translated(self._ref(key), "read"):
            client = self._open().client
            assert isinstance(client, _GoogleClient)
            return client.sign(self._name(key), seconds, method, self._timeout)

    def reader_options(self, reader: str) -> dict[str, Any]:
        """See `ServiceBackend.reader_options`."""
        settings = _settings(self._options)
        if reader == "polars":
            return _of_polars(settings)
        if reader == "pyarrow":
            return self._of_pyarrow(settings)
        return {name: value for name, value in self._options.items() if value is not None}

    def _of_pyarrow(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        if settings.keys() & {"service_account_key", "application_credentials"}:
            raise InvalidRequestError(
                f"storage_options: pyarrow takes no account for {self.url}: let "
                f"{_CREDENTIALS} name its file and open the store without token=, or read by "
                "fsspec, with storage_options('pandas')"
            )
        found: dict[str, Any] = {"anonymous": True} if settings.get("skip_signature") else {}
        if (endpoint := settings.get("base_url")) is not None:
            parts = urlsplit(endpoint)
            found |= {"scheme": parts.scheme, "endpoint_override": parts.netloc}
        return found


def _of_polars(settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "service_account_key": "google_service_account_key",
        "application_credentials": "google_application_credentials",
        "base_url": "google_base_url",
    }
    found = {names[name]: settings[name] for name in names if name in settings}
    if settings.get("skip_signature"):
        found["google_skip_signature"] = "true"
    if str(settings.get("base_url", "")).startswith("http:"):
        found["allow_http"] = "true"
    return found


class _GoogleClient(ServiceClient):
    def sign(self, name: str, seconds: int, method: str, timeout: float) -> str:
        """Return a URL for one kind of request on an object, good for some seconds from now on.

        Raises:
            Failure: There are no credentials, or the service that signs is not reached.
        """
        # obstore escapes nothing in what it signs for Google.
        store, signed, expires = self._store(timeout), quote(name), timedelta(seconds=seconds)
        with self._failures:
            return str(attended(lambda: self._api.sign(store, method, signed, expires)))

    def _mode_of(self, store: Any, name: str, version: str) -> Any:
        """Return the generation to be replaced, which is what Google compares.

        Raises:
            Failure: It is another version already.
            MissingExtraError: An older obstore does not tell it.
        """
        with self._failures:
            try:  # the answer to a HEAD has no body, so it cannot tell what is missing
                get = partial(self._api.get, store, name, options={"range": (0, 1)})
                found = attended(lambda: get().meta)
            except self._api.exceptions.BaseError as exc:
                if "416" not in str(exc).partition("Debug source:")[0]:
                    raise
                found = attended(partial(self._api.head, store, name))  # it is there, and empty
        if not found["version"]:
            raise MissingExtraError(
                "if_match on gs:// needs the generation of the object, which obstore tells since "
                "0.12.1: pip install --upgrade obstore"
            )
        if quoted(found["e_tag"] or "") != version:
            raise Failure(412, "PreconditionFailed", "it is another version", sent=False)
        return {"e_tag": version, "version": found["version"]}


def open_google(opening: Opening) -> GoogleBackend:
    """Open a bucket through obstore.

    Raises:
        SettingsError: The URL or an option is not understood.
    """
    parts = urlsplit(opening.url)
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc:
        shown = shown_url(opening.url)
        raise SettingsError(f"{shown} names no bucket: write gs://bucket/prefix", shown)
    if unknown := sorted(opening.options.keys() - _KNOWN):
        raise SettingsError(
            f"the storage option {unknown[0]} is not understood by engine='obstore': omit it, or "
            "choose engine='gcsfs'"
        )
    _settings(opening.options)
    prefix = parts.path.strip("/")
    prefix = f"{prefix}/" if prefix else ""
    return GoogleBackend(opening.url, parts.netloc, prefix, opening.timeout, opening.options)


def is_understood(opening: Opening) -> bool:
    """Return whether obstore is given all that it needs, and nothing that it does not know.

    If credentials have to be looked for outside of files, as on a machine of Google, gcsfs is used
    where it is installed. So it is with emulators: they have the JSON API, which obstore lacks.
    """
    options, token = opening.options, opening.options.get("token")
    if find_spec("gcsfs") is None:
        return True
    if options.keys() - _KNOWN or options.get("endpoint_url") is not None:
        return False
    if token in (None, "google_default"):
        here = Path.home() / _WELL_KNOWN
        return bool(os.environ.get(_CREDENTIALS)) or here.is_file()
    return token == _ANONYMOUS or _is_account(token)


def _is_account(token: Any) -> bool:
    """Return whether *token* is a service account, or the path of a file of credentials."""
    if isinstance(token, Mapping):
        return token.get("type") == "service_account"
    # Not by Path, whose error would have the token in it if that is no path.
    return isinstance(token, str) and os.path.isfile(os.path.expanduser(token))  # noqa: PTH111, PTH113


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of obstore's store.

    Raises:
        SettingsError: The token is of a kind that only gcsfs knows.
    """
    token, found = options.get("token"), dict[str, Any]()
    if token == _ANONYMOUS:
        found["skip_signature"] = True
    elif _is_account(token):
        if isinstance(token, Mapping):
            found["service_account_key"] = json.dumps(dict(token))
        else:
            found["application_credentials"] = str(Path(str(token)).expanduser())
    elif token not in (None, "google_default"):
        raise SettingsError(
            "the storage option token is for engine='gcsfs': obstore takes 'anon', the path of a "
            "file of credentials, or a service account as a dict"
        )
    if (endpoint := _endpoint(options)) is not None:
        found["base_url"] = endpoint
    return found


def _endpoint(options: Mapping[str, Any]) -> str | None:
    """Return the server that is named, by an option or by an account for an emulator."""
    token = options.get("token")
    named = token.get("gcs_base_url") if isinstance(token, Mapping) else None
    found = options.get("endpoint_url") or named
    return None if found is None else str(found).rstrip("/")


def _store(bucket: str, settings: Mapping[str, Any], **common: Any) -> Any:
    from obstore.store import GCSStore

    if str(settings.get("base_url", "")).startswith("http:"):
        common["client_options"] |= {"allow_http": True, "disable_system_certificates": True}
    return GCSStore(bucket, **settings, **common)
