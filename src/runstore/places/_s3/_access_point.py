"""Access points: names by which AWS lets in to a bucket, each by a host of its own."""

import re
from typing import NamedTuple

from runstore.errors import SettingsError

__all__ = ["AccessPoint"]

_ARN = re.compile(
    r"(arn:aws[a-z-]*:s3:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):accesspoint)[:/]"
    r"(?P<name>[a-z0-9][a-z0-9-]{1,48}[a-z0-9])(?:/(?P<prefix>.*))?",
    re.ASCII | re.DOTALL,
)


class AccessPoint(NamedTuple):
    """One access point.

    Attributes:
        arn: Its whole name, as botocore takes it for a bucket's.
        region: Where it is; requests are signed for it.
        account: Of whom.
        name: The rest of its name.
    """

    arn: str
    region: str
    account: str
    name: str

    @property
    def label(self) -> str:
        """What stands before the endpoint in its host's name."""
        return f"{self.name}-{self.account}"

    @classmethod
    def named(cls, bucket: str) -> "AccessPoint | None":
        """Return the access point that a bucket's name is the ARN of; None if it is none."""
        found = _ARN.fullmatch(bucket)
        if found is None or found["prefix"]:
            return None
        return cls(f"{found[1]}/{found['name']}", found["region"], found["account"], found["name"])

    @staticmethod
    def split(rest: str) -> tuple[str, str, str] | None:
        """Return the ARN, a slash and the prefix of what stands behind ``s3://``.

        Returns:
            None if it is no ARN.

        Raises:
            SettingsError: It is an ARN, and not that of an access point of S3.
        """
        if not rest.startswith("arn:"):
            return None
        found = _ARN.fullmatch(rest)
        if found is None:
            raise SettingsError(
                "the store's URL has an ARN that is not understood: write s3://arn:aws:s3:REGION:"
                "ACCOUNT:accesspoint/NAME/prefix, or s3://bucket/prefix",
            )
        return f"{found[1]}/{found['name']}", "/", found["prefix"] or ""
