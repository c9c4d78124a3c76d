"""What is said of each object that is written: encryption, access, storage class, tags."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from runstore.errors import SettingsError

__all__ = ["CUSTOMER_KEY", "NAMES", "Written", "customer_key"]

CUSTOMER_KEY = "SSECustomerKey"
"""The one of the names whose value is secret."""

NAMES = frozenset(
    {"ACL", "StorageClass", "Tagging", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"}
    | {"SSECustomerAlgorithm", CUSTOMER_KEY}
)
"""What `s3_additional_kwargs` may have: the names of botocore."""

_ACLS = frozenset(
    {"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read"}
    | {"bucket-owner-read", "bucket-owner-full-control"}
)
_ASLEEP = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # an object there cannot be read right away
_CLASS = re.compile(r"[A-Z][A-Z0-9_]*")
_KEY_BYTES = 32
_TAGS, _TAG_NAME, _TAG_VALUE = 10, 128, 256  # S3's own limits


@dataclass(frozen=True, slots=True)
class Written:
    """What is said of each object that is written; the customer's key also of those that are read.

    Attributes:
        acl: A canned access control list.
        storage_class: As ``STANDARD_IA``.
        tags: Names and values.
        encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``.
        kms_key: Its id.
        bucket_key: Whether KMS is asked once for many objects; None for what the bucket says.
        customer_key: In base 64; S3 encrypts with it and forgets it.
    """

    acl: str | None = None
    storage_class: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    encryption: str | None = None
    kms_key: str | None = None
    bucket_key: bool | None = None
    customer_key: str | None = field(default=None, repr=False)

    @classmethod
    def checked(cls, given: Mapping[str, Any], key: str | None) -> "Written":
        """Return the options of ``s3_additional_kwargs``, and a customer's *key* in base 64.

        Raises:
            SettingsError: They cannot be, or exclude each other; the message has no key.
        """
        known = given.get("SSECustomerAlgorithm", "AES256")
        if known != "AES256":
            raise _wrong("SSECustomerAlgorithm", "is AES256, the only one there is")
        if key is None and "SSECustomerAlgorithm" in given:
            raise _wrong("SSECustomerAlgorithm", "needs a key: give it as sse_customer_key=")
        if key is not None and given.keys() & {"ServerSideEncryption", "SSEKMSKeyId"}:
            raise _wrong("ServerSideEncryption", "and a customer's key exclude each other")
        if "SSEKMSKeyId" in given and not given.get("ServerSideEncryption", "").startswith("aws:"):
            raise _wrong("SSEKMSKeyId", "needs ServerSideEncryption='aws:kms'")
        bucket_key = given.get("BucketKeyEnabled")
        if not isinstance(bucket_key, bool | None):
            raise _wrong("BucketKeyEnabled", "is True or False")
        if bucket_key is not None and given.get("ServerSideEncryption") != "aws:kms":
            raise _wrong("BucketKeyEnabled", "needs ServerSideEncryption='aws:kms'")
        acl, storage_class = given.get("ACL"), given.get("StorageClass")
        if acl is not None and acl not in _ACLS:
            raise _wrong("ACL", f"is one of {', '.join(sorted(_ACLS))}")
        if storage_class is not None and not _CLASS.fullmatch(storage_class):
            raise _wrong("StorageClass", "is written like STANDARD_IA")
        if storage_class in _ASLEEP:
            raise _wrong(
                "StorageClass",
                f"{storage_class} takes hours to read, and get() has to read what was put: choose "
                "GLACIER_IR, or let a lifecycle rule of the bucket move old objects",
            )
        return cls(
            acl=acl,
            storage_class=storage_class,
            tags=_tags(given.get("Tagging")),
            encryption=given.get("ServerSideEncryption"),
            kms_key=given.get("SSEKMSKeyId"),
            bucket_key=bucket_key,
            customer_key=key,
        )

    @property
    def of_botocore(self) -> dict[str, Any]:
        """As arguments of a call of botocore that writes an object, or begins an upload."""
        found = {
            "ACL": self.acl,
            "StorageClass": self.storage_class,
            "Tagging": urlencode(self.tags) or None,
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.kms_key,
            "BucketKeyEnabled": self.bucket_key,
        }
        return {n: one for n, one in found.items() if one is not None} | self.customers

    @property
    def customers(self) -> dict[str, Any]:
        """The customer's key as arguments of a call of botocore that reads, or sends a part."""
        if self.customer_key is None:
            return {}
        key = base64.b64decode(self.customer_key)
        return {"SSECustomerAlgorithm": "AES256", CUSTOMER_KEY: key}

    @property
    def customers_source(self) -> dict[str, Any]:
        """The same for the source of a copy."""
        return {f"CopySource{name}": value for name, value in self.customers.items()}


def customer_key(value: Any, name: str) -> str:
    """Return a customer's key in base 64.

    Args:
        value: 32 bytes, or these in base 64.
        name: Of the option.

    Raises:
        SettingsError: It is none; the message does not have it.
    """
    if isinstance(value, str) and len(value) == _KEY_BYTES and value.isascii():
        value = value.encode()  # as botocore takes it
    if isinstance(value, (bytes, bytearray)) and len(value) == _KEY_BYTES:
        return base64.b64encode(value).decode()
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise SettingsError(f"the storage option {name} is a key of 32 bytes, or these in base 64")
    return str(value)


def _tags(given: str | None) -> tuple[tuple[str, str], ...]:
    """Return the tags in *given*, which is written as the query of a URL."""
    if given is None:
        return ()
    try:
        found = parse_qsl(given, keep_blank_values=True, strict_parsing=True, max_num_fields=_TAGS)
    except ValueError as exc:
        raise _wrong("Tagging", "is written like team=data&stage=dev, ten at most") from exc
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise _wrong("Tagging", "has a name twice")
    if any(not 0 < len(n) <= _TAG_NAME or len(value) > _TAG_VALUE for n, value in found):
        raise _wrong("Tagging", f"has names of up to {_TAG_NAME} and values of {_TAG_VALUE}")
    return tuple(found)


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(f"s3_additional_kwargs.{name} {what}")
