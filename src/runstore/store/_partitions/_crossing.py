"""What crosses to workers: how to write a part, and how to read one, by the store's address."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runstore.context import StoreAddress
from runstore.errors import InvalidRequestError
from runstore.keys import PartPlace, Place
from runstore.objects import ObjectInfo, Permission, leased, read_seal
from runstore.parts import check_part, new_write_id
from runstore.seals import SealedPart
from runstore.store._target import Target

if TYPE_CHECKING:
    from runstore.store._objects import Objects

__all__ = ["PartReader", "PartWriter"]


def _objects_at(address: StoreAddress) -> "Objects":
    from runstore.store import ObjectStore

    return ObjectStore.from_address(address)._objects


def _address_of(target: Target, place: Place) -> StoreAddress:
    if target.address is None:
        raise InvalidRequestError(f"{place}: its store has no address, so no worker finds it")
    return target.address


@dataclass(frozen=True)
class PartWriter:
    """Puts a partition as a part of one object, in whatever process it is called.

    Attributes:
        address: Of the store; secrets come from the environment of the process.
        place: The object.
        lease: What lets this code write; None if it always may.
        workflow, stage, compression, pickle: As for `Objects.put`.
    """

    address: StoreAddress
    place: Place
    lease: Permission | None
    workflow: str | None
    stage: str | None
    compression: str | None
    pickle: Any

    @classmethod
    def of(cls, target: Target, place: Place, *, compression: Any, pickle: Any) -> "PartWriter":
        """Return the writer for one object of *target*."""
        known = target.lease, target.workflow, target.stage
        return cls(_address_of(target, place), place, *known, compression, pickle)

    def __call__(self, key: Any, value: Any) -> ObjectInfo:
        """Put *value* as the part *key*; what is returned can be pickled.

        Raises:
            InvalidNameError: *key* cannot be the key of a part.
            UnsupportedValueError: *value* cannot be stored exactly.
            StaleRunError: The run of this code has ended, or its attempt was given up.
        """
        part = PartPlace(*self.place, check_part("put", key), new_write_id())
        objects = _objects_at(self.address)
        if self.lease is not None:
            objects = leased(objects, self.lease)
        info = objects.put(
            part,
            value,
            workflow=self.workflow,
            stage=self.stage,
            compression=self.compression,
            pickle=self.pickle,
        )
        return replace(info, _read_schema=None)  # which holds the store


@dataclass(frozen=True)
class PartReader:
    """Reads the parts of one sealed version of an object, in whatever process it is called.

    Attributes:
        address: Of the store; secrets come from the environment of the process.
        place: The object.
        parts: As the seal names them.
        columns, pickle, verify: As for `Objects.get`.
        as_type: The type to return.
    """

    address: StoreAddress
    place: Place
    parts: tuple[SealedPart, ...]
    columns: list[Any] | None
    pickle: Any
    verify: Any
    as_type: type | None = None

    @classmethod
    def of(
        cls, target: Target, place: Place, *, columns: list[Any] | None, pickle: Any, verify: Any
    ) -> "PartReader":
        """Return the reader of an object of *target*, as it is sealed now."""
        sealed, _ = read_seal(target.objects, place, pickle=pickle)
        return cls(_address_of(target, place), place, sealed.parts, columns, pickle, verify)

    def to(self, kind: type) -> "PartReader":
        """Return the reader that returns a *kind*."""
        return replace(self, as_type=kind)

    def __call__(self, number: int) -> Any:
        """Read the part of this number, counted from 0 in the order of the keys."""
        part = self.parts[number]
        return _objects_at(self.address).get(
            PartPlace(*self.place, part.part, part.write_id),
            columns=self.columns,
            as_type=self.as_type,
            pickle=self.pickle,
            verify=self.verify,
            sealed=part,
        )

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what tells this reader from others: the writes that it reads, and how."""
        writes = tuple(part.write_id for part in self.parts)
        how = repr(self.columns), repr(self.as_type), self.pickle, self.verify
        return str(self.place), self.address.url, writes, *how
