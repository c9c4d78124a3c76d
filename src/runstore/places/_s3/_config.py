"""One configuration, from options, environment and profile, for both engines.

An engine is given all of it explicitly, so that what it would read from the environment by itself
has no say.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import SettingsError
from runstore.places._s3._access_point import AccessPoint
from runstore.places._s3._aws import aws_endpoint, checked_region, is_host_label
from runstore.places._s3._credentials import Credentials
from runstore.places._s3._network import proxy_for, trusted_certificates
from runstore.places._s3._options import check_endpoint, flattened
from runstore.places._s3._profile import named_profile, profile_settings
from runstore.places._s3._written import Written

__all__ = ["S3Config"]


@dataclass(frozen=True, slots=True)
class S3Config:
    """How to reach a bucket. What is secret shows in no repr.

    Attributes:
        bucket: Its name.
        endpoint: The server's URL, without the bucket.
        region: The region to sign for.
        path_style: Whether the bucket stands in the path, not in the host's name.
        credentials: What requests are signed with; None if they are not signed.
        requester_pays: Whether to say that we pay.
        verify: False trusts any certificate, True those the system trusts; a path is a file of
            those to trust.
        proxy: The URL of the proxy; None for none.
        written: What is said of each object that is written.
    """

    bucket: str
    endpoint: str
    region: str
    path_style: bool
    credentials: Credentials | None = field(repr=False)
    requester_pays: bool
    verify: bool | str
    proxy: str | None = field(repr=False)
    written: Written = field(default_factory=Written)

    @property
    def base(self) -> str:
        """The URL of the bucket's host: that of the endpoint, or one with the bucket in front."""
        if self.path_style:
            return self.endpoint
        parts = urlsplit(self.endpoint)
        point = AccessPoint.named(self.bucket)
        label = self.bucket if point is None else point.label
        return parts._replace(netloc=f"{label}.{parts.netloc}").geturl()

    @classmethod
    def resolve(cls, bucket: str, options: Mapping[str, Any]) -> "S3Config":
        """Complete checked options from the environment and the profile.

        Nothing is asked over the network, and credentials are looked up with the first request.

        Raises:
            SettingsError: An option or a variable is not understood, or the profile is not there.
        """
        given = flattened(options)
        signed = not given.get("anon", False)
        profile = given.get("profile") or named_profile()
        # A profile that only the environment names matters only where something is taken from it.
        needed = "profile" in given or (signed and "key" not in given)
        settings = _settings(given, profile, needed)
        point = AccessPoint.named(bucket)
        region = checked_region(
            (point.region if point is not None else None)
            or given.get("region")
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or settings.get("region")
            or "us-east-1"
        )
        found = given.get("endpoint_url") or _configured_endpoint(settings)
        if found is None and bucket.endswith("--x-s3"):
            raise SettingsError(
                f"{bucket} is a directory bucket of S3 Express, which lists in no order and which "
                "runstore cannot use: use a general purpose bucket"
            )
        endpoint = found or aws_endpoint(
            region,
            fips=_is_on("AWS_USE_FIPS_ENDPOINT", settings, "use_fips_endpoint"),
            dual_stack=_is_on("AWS_USE_DUALSTACK_ENDPOINT", settings, "use_dualstack_endpoint")
            or settings.get("s3.use_dualstack_endpoint", "").lower() == "true",
            secure=given.get("use_ssl", True),
            service="s3" if point is None else "s3-accesspoint",
        )
        style = given.get("addressing_style") or settings.get("s3.addressing_style", "auto")
        if point is not None and style == "path":
            raise SettingsError(
                f"the access point {point.name} has a host of its own: omit addressing_style='path'"
            )
        path_style = point is None and _is_path_style(
            style, bucket, endpoint, own=found is not None
        )
        host = str(urlsplit(endpoint).hostname)
        label = bucket if point is None else point.label
        return cls(
            bucket=bucket,
            endpoint=endpoint,
            region=region,
            path_style=path_style,
            credentials=_credentials(given, region) if signed else None,
            requester_pays=given.get("requester_pays", False),
            verify=not endpoint.startswith("https:")
            or trusted_certificates(given.get("verify"), settings),
            proxy=proxy_for(endpoint, host if path_style else f"{label}.{host}"),
            written=given["written"],
        )


def _settings(given: Mapping[str, Any], profile: str | None, needed: bool) -> dict[str, str]:
    """Return the profile's settings; none if it cannot be read, and all that matters is given."""
    try:
        return profile_settings(profile, required=needed)
    except SettingsError:
        if needed or "endpoint_url" not in given:
            raise
        return {}


def _credentials(given: Mapping[str, Any], region: str) -> Credentials:
    return Credentials(
        key=given.get("key"),
        secret=given.get("secret"),
        token=given.get("token"),
        profile=given.get("profile"),
        region=region,
    )


def _configured_endpoint(settings: Mapping[str, str]) -> str | None:
    if _is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", settings, "ignore_configured_endpoint_urls"):
        return None
    named = {
        "AWS_ENDPOINT_URL_S3": os.environ.get("AWS_ENDPOINT_URL_S3"),
        "AWS_ENDPOINT_URL": os.environ.get("AWS_ENDPOINT_URL"),
        "the profile's endpoint_url": settings.get("endpoint_url"),
    }
    for source, found in named.items():
        if found:
            return check_endpoint(found, source)
    return None


def _is_on(variable: str, settings: Mapping[str, str], name: str) -> bool:
    """Return whether a switch is on; the environment is stronger than the profile."""
    return (os.environ.get(variable) or settings.get(name, "")).strip().lower() == "true"


def _is_path_style(style: str, bucket: str, endpoint: str, *, own: bool) -> bool:
    if style == "path" or (style == "auto" and own) or _is_address(endpoint):
        return True
    if is_host_label(bucket):
        return False
    if style == "virtual" and endpoint.startswith("https:"):
        raise SettingsError(
            f"no certificate holds for the host {bucket}.{urlsplit(endpoint).hostname}, which the "
            "addressing style 'virtual' asks for: use 'path', or a bucket without dots in its name"
        )
    return style != "virtual"


def _is_address(endpoint: str) -> bool:
    """Return whether the host is an address, in front of which no bucket can stand."""
    try:
        ip_address(str(urlsplit(endpoint).hostname))
    except ValueError:
        return False
    return True
