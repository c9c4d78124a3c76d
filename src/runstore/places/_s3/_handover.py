"""What lets others read a bucket: the options of other libraries, and presigned URLs.

Both are made from the configuration that runstore's own requests are made from. They hold what is
secret, so they are made when they are asked for, and kept nowhere.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from runstore.errors import InvalidRequestError, MissingExtraError
from runstore.places._s3._config import S3Config
from runstore.places._s3._credentials import Keys
from runstore.places._s3._signature import signed_query

__all__ = ["presigned", "reader_options"]


def reader_options(config: S3Config, reader: str) -> dict[str, Any]:
    """Return the options with which *reader* reads the bucket.

    Args:
        config: How to reach it.
        reader: ``pandas``, ``duckdb`` (both by fsspec), ``polars`` or ``pyarrow``.

    Raises:
        Failure: There are no credentials, or they cannot be renewed.
        MissingExtraError: They are looked up with botocore, which is not installed.
    """
    keys = _keys(config)
    make = {"polars": _of_polars, "pyarrow": _of_pyarrow}.get(reader, _of_fsspec)
    return {name: value for name, value in make(config, keys).items() if value is not None}


def _keys(config: S3Config) -> Keys | None:
    if config.credentials is None:
        return None
    keys = config.credentials.current()
    if keys is None:
        raise MissingExtraError(
            "the credentials of this machine are looked up with botocore: pip install "
            "'runstore[s3]'"
        )
    return keys


def _of_fsspec(config: S3Config, keys: Keys | None) -> dict[str, Any]:
    client: dict[str, Any] = {"region_name": config.region}
    if config.verify is not True:
        client["verify"] = config.verify
    style = "path" if config.path_style else "virtual"
    settings: dict[str, Any] = {
        "s3": {"addressing_style": style},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    if config.proxy is not None:
        settings["proxies"] = {"http": config.proxy, "https": config.proxy}
    return {
        "anon": True if keys is None else None,
        "key": keys and keys.key,
        "secret": keys and keys.secret,
        "token": keys and keys.token,
        "endpoint_url": config.endpoint,
        "client_kwargs": client,
        "config_kwargs": settings,
        "requester_pays": config.requester_pays or None,
        "use_listings_cache": False,  # it would show what is no longer there
    }


def _of_polars(config: S3Config, keys: Keys | None) -> dict[str, Any]:
    return {
        "aws_access_key_id": keys and keys.key,
        "aws_secret_access_key": keys and keys.secret,
        "aws_session_token": keys and keys.token,
        "aws_skip_signature": "true" if keys is None else None,
        "aws_region": config.region,
        "aws_endpoint_url": config.base,
        "aws_virtual_hosted_style_request": "false" if config.path_style else "true",
        "aws_allow_http": "true" if config.endpoint.startswith("http:") else None,
        "aws_request_payer": "true" if config.requester_pays else None,
        "proxy_url": config.proxy,
    }


def _of_pyarrow(config: S3Config, keys: Keys | None) -> dict[str, Any]:
    parts = urlsplit(config.endpoint)
    return {
        "access_key": keys and keys.key,
        "secret_key": keys and keys.secret,
        "session_token": keys and keys.token,
        "anonymous": True if keys is None else None,
        "region": config.region,
        "scheme": parts.scheme,
        "endpoint_override": parts.netloc,
        "force_virtual_addressing": None if config.path_style else True,
        "proxy_options": config.proxy,
    }


def presigned(config: S3Config, name: str, seconds: int, method: str, now: datetime) -> str:
    """Return a URL that whoever has it may use until it expires: AWS' signature 4, in the query.

    Args:
        config: How to reach the bucket.
        name: The name of the object, prefix included.
        seconds: How long it is good for.
        method: The one request that it is for.
        now: From when on, UTC.

    Raises:
        InvalidRequestError: Requests of this store are not signed, or need more than a URL.
        Failure: There are no credentials, or they cannot be renewed.
    """
    keys = _keys(config)
    if keys is None or config.written.customer_key is not None:
        why = "are not signed" if keys is None else "need the key of the customer in a header"
        raise InvalidRequestError(
            f"presign: requests to s3://{config.bucket} {why}, so no URL can stand for one"
        )
    parts = urlsplit(config.base)
    path = quote(
        f"{parts.path.rstrip('/')}/" + ("" if not config.path_style else f"{config.bucket}/")
    )
    path += quote(name, safe="/-_.~")
    host = parts.netloc.rpartition("@")[2]
    more = {"x-amz-request-payer": "requester"} if config.requester_pays else {}
    query = signed_query(
        *(method, host, path, more, keys, config.region),
        now=now.astimezone(UTC),
        seconds=seconds,
    )
    return f"{parts.scheme}://{host}{path}?{query}"
