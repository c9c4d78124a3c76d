"""Encoding: from a value to the file that is stored, or the reason why it is refused."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runstore import codecs, containers
from runstore.buffers import Buffer
from runstore.codecs import Codec, Encoded, Pickling, file_codec
from runstore.containers import Header, Written
from runstore.context import PicklePolicy
from runstore.errors import UnsupportedValueError
from runstore.keys import AnyPlace, PartPlace
from runstore.lifetime import Bounded, unique_id
from runstore.objects import check_whole_name, guard_of, signing_keys
from runstore.parts import part_text
from runstore.versions import version_of

__all__ = [
    "ContainerFile",
    "container_file",
    "pieces_of",
    "plain_file",
    "versions_of",
]


class ContainerFile(NamedTuple):
    """A value as an Arrow or Parquet file that is ready to be written.

    Attributes:
        written: Its bytes.
        header: What it says about itself.
        signed: Whether it gets a signature.
    """

    written: Written
    header: Header
    signed: bool


def plain_file(
    place: AnyPlace, value: Any, extension: str, policy: PicklePolicy
) -> Iterable[Buffer]:
    """Encode a value for a file without a header of ours, as ``.json`` and ``.npy``.

    Raises:
        InvalidNameError: The name is too long for a file that cannot keep it inside.
        UnsupportedValueError: The format cannot keep it exactly.
        UnsafePickleError: It would have to be pickled and the policy forbids it.
    """
    ref = str(place)
    check_whole_name(place)
    parts = file_codec(extension, ref).encode(value, ref, Pickling(policy, ref))
    return containers.with_digest(extension, parts, ref)


def pieces_of(place: AnyPlace, value: Any) -> Iterator[Any] | None:
    """Return the pieces of a table that comes piece by piece; None for a value that is there.

    Raises:
        UnsupportedValueError: It is an iterator of something else.
    """
    try:
        return codecs.pieces_of(value)
    except UnsupportedValueError as exc:
        what = exc.message.removeprefix("cannot store ")
        raise UnsupportedValueError(f"cannot store {place}: {what}", str(place)) from exc


def container_file(
    place: AnyPlace,
    value: Any,
    extension: str,
    policy: PicklePolicy,
    *,
    metadata: dict[str, Any] | None,
    compression: str | None,
    workflow: str | None,
    stage: str | None,
) -> ContainerFile:
    """Encode a value as an Arrow or Parquet file with a header.

    Args:
        place: What the file is for.
        value: Anything.
        extension: ``arrow`` or ``parquet``.
        policy: Whether it may be pickled, and whether the file is signed.
        metadata, compression, workflow, stage: As for `Objects.put`.

    Raises:
        UnsupportedValueError: Nothing can keep it exactly.
        UnsafePickleError: It would have to be pickled and the policy forbids it.
    """
    signing = signing_keys(str(place), "store").current if policy == "signed" else None
    pickling = Pickling(policy, str(place), signed=signing is not None)
    codec, encoded = _encoded_for(place, value, extension, pickling)
    part = place if isinstance(place, PartPlace) else None
    header = Header(
        namespace=place.namespace,
        run=place.run,
        name=place.name,
        type=codecs.type_name(type(value)),
        codec=codec.name,
        codec_version=encoded.version or codec.version,
        created_at=datetime.now(UTC),
        write_id=unique_id() if part is None else part.write_id,
        spec=encoded.spec,
        pickle=pickling.used,
        rows=encoded.rows,
        columns=encoded.columns,
        nbytes=encoded.nbytes,
        workflow=workflow,
        stage=stage,
        versions=versions_of(codec.name, pickling.packages),
        metadata=metadata or {},
        part=None if part is None else part_text(part.part),
        layout=(codecs.layout_of(value) or {}) if part is not None else {},
    )
    if extension == "parquet":
        written = containers.parquet_file(
            encoded.schema,
            encoded.batches,
            header,
            compression=compression or "zstd",
            key=signing,
            dictionaries=codec.name in codecs.PARQUET_CODECS,
        )
    else:
        written = containers.arrow_file(
            encoded.schema,
            encoded.batches,
            header,
            nbytes=encoded.nbytes,
            compression=compression,
            key=signing,
            cell=encoded.cell,
            cut=encoded.cut,
            alike=encoded.alike,
            data=encoded.data,
            joins=encoded.joins,
        )
    written.guard, written.objects = guard_of(policy, signing is not None), encoded.objects
    return ContainerFile(written, header, signing is not None)


def _encoded_for(
    place: AnyPlace, value: Any, extension: str, pickling: Pickling
) -> tuple[Codec, Encoded]:
    """Encode a value; see `runstore.codecs.encode`. Errors name the object."""
    table = extension == "parquet"
    try:
        return (codecs.encode_table if table else codecs.encode)(value, pickling)
    except UnsupportedValueError as exc:
        if exc.ref is not None:
            raise
        what = exc.message.removeprefix("cannot store ")
        hint = ". Store it under a name without .parquet, which keeps it exactly" if table else ""
        raise UnsupportedValueError(f"cannot store {place}: {what}{hint}", str(place)) from exc


_LIBRARIES = {
    "arrow": ("pyarrow",),
    "numpy": ("numpy",),
    **dict.fromkeys(
        ("geoarrow", "geopandas"), ("geopandas", "shapely", "pandas", "pyarrow", "numpy")
    ),
    **dict.fromkeys(("pandas", "pandas.parquet"), ("pandas", "pyarrow", "numpy")),
    **dict.fromkeys(("polars", "polars.parquet"), ("polars", "pyarrow")),
    "torch": ("torch",),
    "xarray": ("xarray", "numpy"),
}


def versions_of(codec: str, more: dict[str, str] | None = None) -> dict[str, str]:
    """Return the versions of what a codec writes with, and of *more* that a pickle needs."""
    found = _version_cache.get(codec)
    if found is None:
        libraries = ("runstore", "python", *_LIBRARIES.get(codec, ()))
        found = {library: version_of(library) for library in libraries}
        _version_cache.put(codec, found)
    return found | more if more else found


_version_cache: Bounded[str, dict[str, str]] = Bounded(100)  # codecs; ours are a dozen
