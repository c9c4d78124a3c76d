"""The host names of AWS S3: partitions, FIPS, dual stack, and buckets that fit into a host name."""

import re

from runstore.errors import SettingsError

__all__ = ["aws_endpoint", "checked_region", "is_host_label"]

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)

_DOMAINS = {  # by the prefix of the region, as in botocore's endpoint rules
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
}
_GLOBAL = "aws-global"  # botocore's name for us-east-1 by a host without a region


def checked_region(region: str) -> str:
    """Return the region to sign for.

    Raises:
        SettingsError: *region* cannot be the name of one.
    """
    if not _REGION.fullmatch(region):
        raise SettingsError(
            f"{region!r} is not a region: give one as 'eu-west-1', by client_kwargs="
            "{'region_name': …}, AWS_REGION or the profile"
        )
    return "us-east-1" if region == _GLOBAL else region


def aws_endpoint(
    region: str, *, fips: bool, dual_stack: bool, secure: bool, service: str = "s3"
) -> str:
    """Return the URL of AWS S3 in *region*, or that of its access points.

    Raises:
        SettingsError: FIPS endpoints are asked for, and this partition has none.
    """
    domain = next((d for p, d in _DOMAINS.items() if region.startswith(p)), "amazonaws.com")
    if fips and region.startswith("cn-"):
        raise SettingsError(
            f"AWS has no FIPS endpoint in {region}: unset AWS_USE_FIPS_ENDPOINT, or give another "
            "region or endpoint_url"
        )
    host = service + ("-fips" if fips else "") + (".dualstack" if dual_stack else "")
    return f"{'https' if secure else 'http'}://{host}.{region}.{domain}"


def is_host_label(bucket: str) -> bool:
    """Return whether *bucket* is one label of a host name, so that certificates hold for it."""
    return _LABEL.fullmatch(bucket) is not None
