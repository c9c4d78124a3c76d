"""A check of plain data against the classes of OpenLineage's schema, which its package has."""

import importlib
import pkgutil
import types
import typing
from enum import Enum


def fits(value, hint, where):
    """Check plain data against a class of the schema: which fields there are, of which types."""
    import attr

    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            assert type(None) in arguments, where
        else:
            fits(value, next(one for one in arguments if one is not type(None)), where)
    elif origin is dict:
        assert isinstance(value, dict), where
        for key, item in value.items():
            facet = _facet(item) if "Facet" in getattr(arguments[1], "__name__", "") else None
            fits(item, facet or arguments[1], f"{where}.{key}")
    elif origin is list:
        assert isinstance(value, list), where
        for item in value:
            fits(item, arguments[0], where)
    elif attr.has(hint):
        names = {field.name: field for field in attr.fields(hint)}
        assert set(value) <= set(names), where
        hints = typing.get_type_hints(
            hint, vars(importlib.import_module(hint.__module__)) | vars(typing)
        )
        for name, field in names.items():
            if name in value:
                fits(value[name], hints[name], f"{where}.{name}")
            else:
                assert field.default is not attr.NOTHING, f"{where}.{name} is missing"
        given = {names[name].alias: item for name, item in value.items() if names[name].init}
        hint(**given)  # their own checks: UUIDs, times, URLs
    elif isinstance(hint, type) and issubclass(hint, Enum):
        hint(value)
    else:
        assert isinstance(value, hint), where


def _facet(value):
    """Return the class of a facet, by the schema that it names."""
    name = value["_schemaURL"].rpartition("/")[2]
    package = importlib.import_module("openlineage.client.generated")
    for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        kind = getattr(importlib.import_module(one.name), name, None)
        if kind is not None:
            assert value["_schemaURL"] == kind._get_schema()
            return kind
    raise AssertionError(f"there is no facet {name}")
