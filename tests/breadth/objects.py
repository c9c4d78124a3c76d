"""Values and documents: networkx, shapely, PIL, matplotlib, pydantic, pendulum, pint and others."""

import dataclasses
import datetime as dt
import enum
import fractions
import ipaddress
import pathlib
import re
import string
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["LIBRARIES"]

Types = dict[str, Callable[[], Any]]


def networkx() -> Types:
    import networkx as nx

    def graph(kind: Any) -> Any:
        made = kind(name="g")
        made.add_node(1, colour="red")
        made.add_edge(1, "b", weight=0.5, at=dt.date(2024, 1, 1))
        return made

    return {
        **{
            kind: lambda kind=kind: graph(getattr(nx, kind))
            for kind in ("Graph", "DiGraph", "MultiGraph", "MultiDiGraph")
        },
        "subgraph view": lambda: graph(nx.Graph).subgraph([1]),
        "NodeView": lambda: graph(nx.Graph).nodes,
        "DegreeView": lambda: graph(nx.Graph).degree,
    }


def shapely() -> Types:
    import shapely as sh

    square = [(0, 0), (1, 0), (1, 1)]
    return {
        "Point": lambda: sh.Point(1, 2, 3),
        "LineString": lambda: sh.LineString(square),
        "Polygon": lambda: sh.Polygon(square),
        "MultiPolygon": lambda: sh.MultiPolygon([sh.Polygon(square)]),
        "GeometryCollection": lambda: sh.GeometryCollection([sh.Point(1, 2)]),
        "empty Point": lambda: sh.Point(),
        "array": lambda: sh.points([[1, 2], [3, 4]]),
        "with an SRID": lambda: sh.set_srid(sh.Point(1, 2), 4326),
        "STRtree": lambda: sh.STRtree([sh.Point(1, 2)]),
        "prepared": lambda: sh.prepared.prep(sh.Polygon(square)),
    }


def pyproj() -> Types:
    import pyproj as pp

    return {
        "CRS": lambda: pp.CRS(4326),
        "Transformer": lambda: pp.Transformer.from_crs(4326, 3857),
        "Geod": lambda: pp.Geod(ellps="WGS84"),
    }


def pil() -> Types:
    from PIL import Image, ImageFilter, ImageFont

    return {
        "Image": lambda: Image.new("RGB", (4, 3), (1, 2, 3)),
        "Image of a palette": lambda: Image.new("P", (4, 3), 1),
        "Image of bits": lambda: Image.new("1", (5, 3), 1),
        "ImageFilter": lambda: ImageFilter.GaussianBlur(2),
        "ImageFont": lambda: ImageFont.load_default(),
    }


def matplotlib() -> Types:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib import cm, colors
    from matplotlib.figure import Figure
    from matplotlib.path import Path

    def figure() -> Any:
        made = Figure()
        made.subplots().plot([1, 2, 1], label="a")
        return made

    return {
        "Figure": figure,
        "Figure of pyplot": lambda: plt.figure(num=7, clear=True),
        "Axes": lambda: figure().axes[0],
        "Line2D": lambda: mpl.lines.Line2D([0, 1], [0, 1]),
        "Colormap": lambda: mpl.colormaps["viridis"],
        "ListedColormap": lambda: colors.ListedColormap(["red", "blue"]),
        "Normalize": lambda: colors.Normalize(0, 1),
        "ScalarMappable": lambda: cm.ScalarMappable(colors.Normalize(0, 1)),
        "Path": lambda: Path([(0, 0), (1, 1)]),
        "Affine2D": lambda: mpl.transforms.Affine2D().rotate(1),
        "RcParams": lambda: mpl.RcParams({"lines.linewidth": 3}),
    }


def pydantic() -> Types:
    import pydantic as pyd
    from tests.breadth import models

    return {
        "BaseModel": lambda: models.Trip(name="a", stops=[models.Stop(at=dt.date(2024, 1, 1))]),
        "BaseModel with private and extra": lambda: models.open_one(),
        "RootModel": lambda: models.Names(["a"]),
        "dataclass": lambda: models.Place(1.0, 2.0),
        "SecretStr": lambda: pyd.SecretStr("s"),
        "HttpUrl": lambda: pyd.HttpUrl("https://example.org/a?b=1"),
        "TypeAdapter": lambda: pyd.TypeAdapter(int),
        "class": lambda: models.Trip,
    }


def attrs() -> Types:
    from tests.breadth import models

    return {
        "define": lambda: models.Box(1, ["a"]),
        "frozen": lambda: models.Cold(1),
        "slots with a cache": lambda: models.hashed(),
    }


def msgspec() -> Types:
    import msgspec as ms
    from tests.breadth import models

    return {
        "Struct": lambda: models.Packet(1, "a"),
        "Raw": lambda: ms.Raw(b"{}"),
        "UNSET": lambda: ms.UNSET,
        "Encoder": lambda: ms.json.Encoder(),
    }


def pendulum() -> Types:
    import pendulum as pdl

    return {
        "DateTime": lambda: pdl.datetime(2024, 10, 27, 2, 30, tz="Europe/Paris"),
        "Date": lambda: pdl.date(2024, 1, 1),
        "Time": lambda: pdl.time(1, 2, 3),
        "Duration": lambda: pdl.duration(months=1, days=2),
        "Interval": lambda: pdl.date(2024, 1, 1).diff(pdl.date(2024, 2, 1)),
        "Timezone": lambda: pdl.timezone("Europe/Paris"),
        "FixedTimezone": lambda: pdl.timezone(3600),
    }


def pint() -> Types:
    import pint as pi

    registry = pi.get_application_registry()
    return {
        "Quantity": lambda: registry.Quantity(1.5, "m / s"),
        "Quantity of an array": lambda: registry.Quantity(np.arange(3.0), "kg"),
        "Unit": lambda: registry.Unit("km"),
        "Measurement": lambda: registry.Quantity(1.0, "m").plus_minus(0.1),
        "UnitRegistry": lambda: pi.UnitRegistry(),
    }


def sympy() -> Types:
    import sympy as sy

    x = sy.Symbol("x", positive=True)
    return {
        "Symbol": lambda: x,
        "Expr": lambda: sy.sin(x) ** 2 + sy.Rational(1, 3),
        "Matrix": lambda: sy.Matrix([[x, 1], [0, 2]]),
        "Integer": lambda: sy.Integer(7),
        "Dummy": lambda: sy.Dummy("d", dummy_index=5),
        "Poly": lambda: sy.Poly(x**2 + 1, x),
        "Piecewise": lambda: sy.Piecewise((x, x > 1), (0, True)),
        "lambdify": lambda: sy.lambdify(x, x**2),
    }


def mpmath() -> Types:
    import mpmath as mp

    return {
        "mpf": lambda: mp.mpf("0.1"),
        "mpc": lambda: mp.mpc(1, 2),
        "matrix": lambda: mp.matrix([[1, 2], [3, 4]]),
        "iv": lambda: mp.iv.mpf([1, 2]),
    }


def uncertainties() -> Types:
    import uncertainties as un

    return {
        "ufloat": lambda: un.ufloat(1.0, 0.1, "a"),
        "AffineScalarFunc": lambda: un.ufloat(1.0, 0.1) * 2 + 1,
    }


def unyt() -> Types:
    import unyt as un

    return {
        "unyt_array": lambda: un.unyt_array([1.0, 2.0], "km"),
        "unyt_quantity": lambda: un.unyt_quantity(1.0, "s"),
        "Unit": lambda: un.Unit("kg*m"),
    }


def sortedcontainers() -> Types:
    import sortedcontainers as sc

    return {
        "SortedDict": lambda: sc.SortedDict({"b": 1, "a": 2}),
        "SortedList": lambda: sc.SortedList([3, 1]),
        "SortedSet": lambda: sc.SortedSet([3, 1]),
        "SortedKeyList": lambda: sc.SortedKeyList([3, -4], key=abs),
    }


def containers() -> Types:
    import bitarray as ba
    import frozendict as fd
    import immutables as im
    import intervaltree as it
    import multidict as md
    import pyrsistent as pr

    return {
        "bitarray.bitarray": lambda: ba.bitarray("10110"),
        "bitarray.frozenbitarray": lambda: ba.frozenbitarray("1"),
        "frozendict.frozendict": lambda: fd.frozendict(a=1),
        "immutables.Map": lambda: im.Map(a=1),
        "intervaltree.IntervalTree": lambda: it.IntervalTree([it.Interval(0, 2, "a")]),
        "multidict.MultiDict": lambda: md.MultiDict([("a", 1), ("a", 2)]),
        "multidict.CIMultiDictProxy": lambda: md.CIMultiDictProxy(md.CIMultiDict(a=1)),
        "pyrsistent.PMap": lambda: pr.m(a=1),
        "pyrsistent.PVector": lambda: pr.v(1, 2),
        "pyrsistent.PSet": lambda: pr.s(1, 2),
    }


def graphs() -> Types:
    import igraph as ig
    import rustworkx as rx

    def made() -> Any:
        graph = rx.PyDiGraph()
        graph.extend_from_weighted_edge_list([(0, 1, 0.5)])
        return graph

    return {
        "igraph.Graph": lambda: ig.Graph([(0, 1), (1, 2)], vertex_attrs={"n": ["a", "b", "c"]}),
        "rustworkx.PyDiGraph": made,
    }


def times() -> Types:
    import arrow
    import dateutil.relativedelta
    import dateutil.rrule
    import dateutil.tz
    import holidays
    import pytz
    import whenever

    start = dt.datetime(2024, 1, 1)
    return {
        "arrow.Arrow": lambda: arrow.get(2024, 1, 1, tzinfo="Europe/Paris"),
        "dateutil.relativedelta": lambda: dateutil.relativedelta.relativedelta(months=1),
        "dateutil.rrule": lambda: dateutil.rrule.rrule(dateutil.rrule.DAILY, start, count=3),
        "dateutil.tz": lambda: dateutil.tz.gettz("Europe/Paris"),
        "datetime of dateutil": lambda: start.replace(tzinfo=dateutil.tz.gettz("Europe/Paris")),
        "datetime of pytz": lambda: pytz.timezone("Europe/Paris").localize(start),
        "pytz.timezone": lambda: pytz.timezone("Europe/Paris"),
        "holidays.DE": lambda: holidays.country_holidays("DE", years=2024),
        "whenever.Instant": lambda: whenever.Instant.from_utc(2024, 1, 1),
        "whenever.ZonedDateTime": lambda: whenever.ZonedDateTime(2024, 1, 1, tz="Europe/Paris"),
        "whenever.Date": lambda: whenever.Date(2024, 1, 1),
    }


def documents() -> Types:
    import bs4
    import httpx
    import lxml.etree
    import phonenumbers
    import requests
    import yarl

    return {
        "bs4.BeautifulSoup": lambda: bs4.BeautifulSoup("<p class='a'>b</p>", "html.parser"),
        "bs4.Tag": lambda: bs4.BeautifulSoup("<p>b</p>", "html.parser").p,
        "lxml.etree.Element": lambda: lxml.etree.fromstring("<a><b/></a>"),
        "httpx.Response": lambda: httpx.Response(200, json={"a": 1}, request=_request(httpx)),
        "httpx.URL": lambda: httpx.URL("https://example.org/a"),
        "httpx.Headers": lambda: httpx.Headers({"a": "b"}),
        "httpx.Client": lambda: httpx.Client(),
        "requests.Session": lambda: requests.Session(),
        "requests.Response": lambda: _response(requests),
        "yarl.URL": lambda: yarl.URL("https://example.org/a?b=1"),
        "phonenumbers.PhoneNumber": lambda: phonenumbers.parse("+442083661177"),
    }


def _request(httpx: Any) -> Any:
    return httpx.Request("GET", "https://example.org")


def _response(requests: Any) -> Any:
    made = requests.Response()
    made.status_code, made._content = 200, b"{}"
    return made


def science() -> Types:
    import trimesh
    from Bio.Seq import MutableSeq, Seq
    from Bio.SeqRecord import SeqRecord

    return {
        "Bio.Seq": lambda: Seq("ACGT"),
        "Bio.MutableSeq": lambda: MutableSeq("ACGT"),
        "Bio.SeqRecord": lambda: SeqRecord(Seq("AC"), id="x", annotations={"a": 1}),
        "trimesh.Trimesh": lambda: trimesh.creation.box(),
    }


def charts() -> Types:
    import altair
    import plotly.graph_objects as go
    import seaborn

    return {
        "altair.Chart": lambda: altair.Chart("data.csv").mark_bar().encode(x="a:Q"),
        "plotly.Figure": lambda: go.Figure(go.Scatter(x=[1, 2], y=[3, 4])),
        "seaborn.palette": lambda: seaborn.color_palette("deep"),
    }


def software() -> Types:
    import semver
    import sqlalchemy as sa
    import tokenizers
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version
    from tests.breadth import models

    return {
        "packaging.Version": lambda: Version("1.2rc1"),
        "packaging.SpecifierSet": lambda: SpecifierSet(">=1,<2"),
        "packaging.Requirement": lambda: Requirement("a[b]>=1"),
        "semver.Version": lambda: semver.Version(1, 2, 3),
        "sqlalchemy.URL": lambda: sa.make_url("sqlite:///x.db"),
        "sqlalchemy.Engine": lambda: sa.create_engine("sqlite://"),
        "sqlalchemy.select": lambda: sa.select(sa.column("a")),
        "sqlalchemy.MetaData": lambda: models.tables(),
        "sqlalchemy.Row": lambda: _row(sa),
        "sqlalchemy mapped object": lambda: models.User(id=1, name="a"),
        "tokenizers.Tokenizer": lambda: tokenizers.Tokenizer(
            tokenizers.models.WordLevel({"a": 0, "?": 1}, unk_token="?")
        ),
    }


def _row(sa: Any) -> Any:
    with sa.create_engine("sqlite://").connect() as connection:
        return connection.execute(sa.text("select 1 as a, 'x' as b")).one()


class Colour(enum.Flag):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(slots=True, order=True)
class Cell:
    x: int
    y: list[int] = dataclasses.field(default_factory=list)


class Pair(NamedTuple):
    a: int
    b: str


def python() -> Types:
    return {
        "enum.Flag": lambda: Colour.RED | Colour.BLUE,
        "dataclass with slots": lambda: Cell(1, [2]),
        "NamedTuple": lambda: Pair(1, "x"),
        "Fraction": lambda: fractions.Fraction(1, 3),
        "IPv4Network": lambda: ipaddress.ip_network("10.0.0.0/8"),
        "PurePosixPath": lambda: pathlib.PurePosixPath("a/b"),
        "re.Pattern": lambda: re.compile("a+", re.IGNORECASE),
        "re.Match": lambda: re.match("a", "a"),
        "string.Template": lambda: string.Template("$a"),
        "UUID": lambda: uuid.UUID(int=7),
        "range": lambda: range(0, 10, 3),
        "slice": lambda: slice(1, None, 2),
        "Ellipsis": lambda: ...,
        "ExceptionGroup": lambda: ExceptionGroup("a", [ValueError("b")]),
        "date with a zone's time": lambda: dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "function": lambda: re.escape,
        "generator": lambda: (n for n in range(3)),
        "module": lambda: re,
    }


LIBRARIES: dict[str, Callable[[], Types]] = {
    make.__name__: make
    for make in (
        *(networkx, shapely, pyproj, pil, matplotlib, pydantic, attrs, msgspec, pendulum, pint),
        *(sympy, mpmath, uncertainties, unyt, sortedcontainers, containers, graphs, times),
        *(documents, science, charts, software, python),
    )
}
