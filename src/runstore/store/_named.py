"""Objects and runs as they are written: ``NS/RUN/NAME``, ``NS/RUN``, ``runstore://…@…``."""

from typing import NamedTuple

from runstore.arguments import unfit
from runstore.errors import InvalidNameError
from runstore.keys import SHARED, Place, key_of
from runstore.names import check_namespace, check_run
from runstore.store._refs import ObjectRef

__all__ = ["Named", "named"]


class Named(NamedTuple):
    """What a text names.

    Attributes:
        namespace: The namespace.
        run: The run; None for what the namespace's runs share.
        name: The object; empty for the run itself.
        ref: The reference that the text was, which says the version, too.
    """

    namespace: str
    run: str | None
    name: str
    ref: ObjectRef | None = None

    @property
    def place(self) -> Place:
        """The full name of the object."""
        return Place(self.namespace, self.run, self.name)


def named(call: str, argument: str, text: object) -> Named:
    """Parse the name of an object or a run, without a look into the store.

    Raises:
        InvalidNameError: It is none.
    """
    if isinstance(text, str) and text.startswith("runstore://"):
        ref = ObjectRef(text)
        return Named(ref.namespace, ref.run, ref.name, ref)
    parts = text.split("/", 2) if isinstance(text, str) else []
    if len(parts) < 2 or not parts[0] or not parts[1]:
        expected = "like <namespace>/<run>/<name> or <namespace>/<run>"
        raise unfit(call, argument, expected, text, error=InvalidNameError)
    namespace, run = check_namespace(parts[0]), None if parts[1] == SHARED else parts[1]
    if run is not None:
        check_run(run)
    found = Named(namespace, run, parts[2] if len(parts) == 3 else "")
    if found.name:
        key_of(found.place)  # raises if it can be nobody's name
    elif run is None:
        raise unfit(call, argument, "an object or a run", text, error=InvalidNameError)
    return found
