"""Classes of one's own on top of pydantic, attrs, msgspec and SQLAlchemy."""

import datetime as dt
from typing import Any

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Box", "Cold", "Names", "Packet", "Place", "Stop", "Trip", "User", "hashed", "open_one"]


class Stop(pydantic.BaseModel):
    at: dt.date


class Trip(pydantic.BaseModel):
    name: str
    stops: list[Stop] = []


class _Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int
    _hidden: int = pydantic.PrivateAttr(0)


def open_one() -> Any:
    made = _Open(a=1, b="extra")  # type: ignore[call-arg]
    made._hidden = 7
    return made


class Names(pydantic.RootModel[list[str]]):
    pass


@pydantic.dataclasses.dataclass
class Place:
    x: float
    y: float


@attrs.define
class Box:
    a: int
    b: list[str]


@attrs.frozen
class Cold:
    a: int


@attrs.frozen(cache_hash=True)
class _Hashed:
    a: int


def hashed() -> Any:
    made = _Hashed(1)
    hash(made)
    return made


class Packet(msgspec.Struct):
    a: int
    b: str


class _Base(DeclarativeBase):
    pass


class User(_Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def tables() -> Any:
    made = sa.MetaData()
    sa.Table("t", made, sa.Column("a", sa.Integer, primary_key=True))
    return made
