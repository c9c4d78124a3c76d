"""The base of all models: frozen values that refuse unknown fields with an error of runstore."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from runstore.arguments import shown
from runstore.errors import InvalidRequestError, RunStoreError
from runstore.secret_names import is_secret, is_secret_setting, without_secrets

__all__ = ["Value", "plain", "reasons"]

if TYPE_CHECKING:
    _Model = BaseModel
else:

    class _Making(type(BaseModel)):
        """Raises an error of runstore if a model that a caller makes is invalid.

        Models that pydantic makes inside another one are not affected: it collects all mistakes.
        """

        def __call__(cls, *args, **kwargs):
            try:
                return super().__call__(*args, **kwargs)
            except ValidationError as exc:
                raise cls._refused_as(f"{cls.__name__}: {reasons(exc)}") from exc

    class _Model(BaseModel, metaclass=_Making):
        """The base of all models."""

        model_config = ConfigDict(defer_build=True)


def reasons(exc: ValidationError) -> str:
    """Return all mistakes, each with the path of its field; only short values are shown."""
    told = []
    for error in exc.errors(include_url=False):
        path = ".".join(str(step) for step in error["loc"] if step != "[key]")
        told.append(f"{path}: {plain(error)}" if path else plain(error))
    return "; ".join(told)


_MEANT = {
    "bool": "true or false",
    "dict": "a mapping",
    "finite": "a finite number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping",
    "model": "a mapping",
    "string": "text",
    "tuple": "a list",
}
"""What a field must be, by how the type of pydantic's error begins."""

_OF_TYPES = ("_type", "_parsing", "_from_float", "finite_number")
_WITH_VALUE = (
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "literal_error",
)


def plain(error: Mapping[str, Any]) -> str:
    """Return what is wrong by one error of pydantic, in words of ours, with a short value.

    The value of a field with the name of a secret is not shown.
    """
    kind, text = str(error["type"]), str(error["msg"])
    text = text.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "extra_forbidden":
        return "this field is unknown"
    if kind == "missing":
        return "this field is missing"
    start = "Input should be "
    meant = _MEANT.get(kind.partition("_")[0]) if kind.endswith(_OF_TYPES) else None
    if meant is None and not text.startswith(start):
        return text
    told = f"it must be {meant or text.removeprefix(start)}"
    if "input" not in error or (meant is None and kind not in _WITH_VALUE):
        return told
    given = error["input"]
    if isinstance(given, (str, int, float)):  # anything else is shown by its type only
        names = [step for step in error["loc"] if isinstance(step, str)]
        if any(is_secret(name, given) or is_secret_setting(name, given) for name in names):
            return f"{told}, not {type(given).__name__}"
    return f"{told}, not {shown(given)}"


_LONGEST = 200  # characters of one value in a repr


class _Cut:
    """A value as a repr shows it: without secrets, and cut where it is long."""

    def __init__(self, name: str, value: Any) -> None:
        self._name, self._value = name, value

    def __repr__(self) -> str:
        text = repr(without_secrets(self._value, self._name))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_default(value: Any, field: FieldInfo) -> bool:
    if field.is_required():
        return False
    # Before 2.11, pydantic calls no factory without these values, also one that takes none.
    default = field.get_default(call_default_factory=True, validated_data={})
    # A result can be of any class: its own code does not compare it.
    return value is None if default is None else bool(value == default)


_OF_PYDANTIC = ("model_copy", "model_dump", "model_dump_json")


class Value(_Model):
    """A frozen value; unknown fields are errors."""

    # Built when one is validated: a stage that puts and gets validates none.
    # The text of pydantic's own error, which is the cause of ours, would show what was given.
    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what a repr shows: what is not the default, cut, and without secrets.

        All ways in which pydantic shows a model come here: repr, str, within other models.
        """
        fields = type(self).model_fields
        for name, value in self.__dict__.items():  # of an earlier version's pickle, not all fields
            if name in fields and not _is_default(value, fields[name]):
                yield name, _Cut(name, value)

    def __dir__(self) -> list[str]:
        """Return the names for users, without the many that pydantic brings."""
        ours = (vars(kind) for kind in type(self).__mro__ if issubclass(kind, Value))
        names = {name for names in ours for name in names if not name.startswith("_")}
        names -= {"model_config", "model_fields", "model_computed_fields", "model_post_init"}
        return sorted({*names, *type(self).model_fields, *_OF_PYDANTIC})

    _refused_as: ClassVar[type[RunStoreError]] = InvalidRequestError
