"""Checks of the metadata that a caller keeps with an object: a dict of JSON values."""

from copy import deepcopy
from typing import Any

from runstore.arguments import shown, unfit
from runstore.codecs import is_json
from runstore.errors import InvalidRequestError
from runstore.keys import AnyPlace

__all__ = ["own_metadata"]


def own_metadata(place: AnyPlace, metadata: Any, plain: bool) -> dict[str, Any] | None:
    """Return a copy of *metadata*, which the caller may change while the object is written.

    Args:
        place: The object.
        metadata: What was passed to `put`.
        plain: Whether the object is a file without a header of ours.

    Raises:
        InvalidRequestError: It is neither None nor can be kept with an object.
    """
    if metadata is None:
        return None
    expected = "a dict of JSON values (str, int, float, bool, None, lists and dicts of them)"
    if type(metadata) is not dict:
        raise unfit(f"put {place}", "metadata", expected, metadata)
    if metadata and plain:
        raise InvalidRequestError(
            f"put {place}: a .{place.name.rpartition('.')[2].lower()} file has no room for "
            "metadata; omit the extension or the metadata",
            str(place),
        )
    if not is_json(metadata):
        strange = ((key, item) for key, item in metadata.items() if not is_json({key: item}))
        key, item = next(strange, ("", metadata))
        # Named by its type: writing it out might never end.
        hint = f"it has a {type(item).__name__} under {shown(key)}"
        raise unfit(f"put {place}", "metadata", expected, metadata, hint)
    return deepcopy(metadata)
