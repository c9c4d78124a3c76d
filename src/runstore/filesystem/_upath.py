"""``UPath("runstore://…")``: universal_pathlib's own class, which it so knows to be meant."""

from upath import UPath

__all__ = ["RunstorePath"]


class RunstorePath(UPath):
    """The path of an object: ``runstore://<namespace>/<run>/<name>``."""
