"""The base of all models: frozen values that refuse unknown fields with an error of runstore."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from runstore.errors import InvalidRequestError, RunStoreError

__all__ = ["Value", "reasons"]

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
    """Return all mistakes, each with the path of its field; values are not shown."""
    told = []
    for error in exc.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join(str(step) for step in error["loc"] if step != "[key]")
        told.append(f"{path}: {error['msg']}" if path else error["msg"])
    return "; ".join(told)


_OF_PYDANTIC = ("model_copy", "model_dump", "model_dump_json")


class Value(_Model):
    """A frozen value; unknown fields are errors."""

    # Built when one is validated: a stage that puts and gets validates none.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __dir__(self) -> list[str]:
        """Return the names for users, without the many that pydantic brings."""
        ours = (vars(kind) for kind in type(self).__mro__ if issubclass(kind, Value))
        names = {name for names in ours for name in names if not name.startswith("_")}
        names -= {"model_config", "model_fields", "model_computed_fields", "model_post_init"}
        return sorted({*names, *type(self).model_fields, *_OF_PYDANTIC})

    _refused_as: ClassVar[type[RunStoreError]] = InvalidRequestError
