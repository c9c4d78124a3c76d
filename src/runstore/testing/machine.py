"""A dict is the oracle: the store as a Hypothesis state machine.

Two runs of two namespaces, both scopes, and two store objects on one place, so
that what one process wrote is looked at by another with an old view.
"""

import unicodedata
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from runstore.context import StoreAddress, find_run_context, run_context
from runstore.errors import InvalidRequestError, ObjectExistsError, ObjectNotFoundError
from runstore.keys import Scope
from runstore.store import ObjectStore

__all__ = ["NAMES", "VALUES", "StoreMachine"]

NAMES = st.one_of(
    st.sampled_from(["a", "a/b", "a.b/c", "a.arrow", "A", "é", " ", "a b", "%41", "x" * 300, "~"]),
    st.sampled_from(["a.json", "a.json/b", ".hidden", "_a", "a.parquet/b", "-", "a/b/c/d/e"]),
    st.lists(
        st.text(
            st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1
        ).filter(lambda part: part not in (".", "..")),
        min_size=1,
        max_size=3,
    )
    .map("/".join)
    .map(lambda name: unicodedata.normalize("NFC", name))
    .filter(lambda name: len(name.encode()) <= 100),
)
"""Names that are allowed."""

VALUES = st.one_of(
    st.binary(max_size=50),
    st.text(max_size=20),
    st.integers(),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers()),  # pickled
    st.sampled_from([b"x" * 200_000, b"y" * 200_000]),  # mapped
)
"""Values of several codecs, small and large."""

SCOPES = st.sampled_from(
    [("prod", "r1"), ("prod", "r:2+x"), ("prod-2", "r1"), ("prod", None), ("prod-2", None)]
)


class StoreMachine(RuleBasedStateMachine):
    """Put, get, list, copy and delete against a dict; a subclass gives the place.

    The oracle never calls the product's helpers. Override `open_stores`.
    """

    names: Bundle[str] = Bundle("names")

    def open_stores(self) -> tuple[ObjectStore, ObjectStore]:
        """Open two store objects on one empty place."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        """Open the stores; nothing is stored yet."""
        self.stores = self.open_stores()
        self.model: dict[tuple[str, str | None, str], Any] = {}

    def _in(self, scope: tuple[str, str | None], which: bool) -> Any:
        address: StoreAddress = self.stores[which].address
        run = scope[1] or "some-run"
        return run_context(namespace=scope[0], run=run, store=address)

    @rule(target=names, name=NAMES)
    def name(self, name: str) -> str:
        """Think of a name, to be used by other rules, too."""
        return name

    @rule(scope=SCOPES, name=names, value=VALUES, which=st.booleans(), absent=st.booleans())
    def put(self, scope: Any, name: str, value: Any, which: bool, absent: bool) -> None:
        """Put, perhaps only if nothing is there."""
        if name.endswith(".json"):
            value = [1, "two", None]  # a .json file holds no bytes
        where: Scope = "run" if scope[1] else "namespace"
        with self._in(scope, which):
            store = self.stores[which]
            if absent and (*scope, name) in self.model:
                with pytest.raises(ObjectExistsError):
                    store.put(name, value, scope=where, if_absent=True)
                return
            info = store.put(name, value, scope=where, if_absent=absent)
        assert (name, where, *scope) == (info.name, info.scope, info.namespace, info.run)
        self.model[(*scope, name)] = value

    @rule(scope=SCOPES, name=names, which=st.booleans())
    def get(self, scope: Any, name: str, which: bool) -> None:
        """Get what was put last, or nothing."""
        view = self.stores[which].at(namespace=scope[0], run=scope[1])
        where: Scope = "run" if scope[1] else "namespace"
        if (*scope, name) not in self.model:
            assert view.exists(name, scope=where) is False
            assert view.get(name, scope=where, default="nothing") == "nothing"
            with pytest.raises(ObjectNotFoundError):
                view.get(name, scope=where)
            return
        expected, actual = self.model[(*scope, name)], view.get(name, scope=where)
        assert type(expected) is type(actual)
        assert expected == actual
        assert view.stat(name, scope=where).name == name
        assert view.exists(name, scope=where) is True

    @rule(scope=SCOPES, name=names, which=st.booleans())
    def delete(self, scope: Any, name: str, which: bool) -> None:
        """Delete what is there; deleting nothing raises."""
        view = self.stores[which].at(namespace=scope[0], run=scope[1])
        where: Scope = "run" if scope[1] else "namespace"
        if (*scope, name) in self.model:
            view.delete(name, scope=where)
            del self.model[(*scope, name)]
        else:
            with pytest.raises(ObjectNotFoundError):
                view.delete(name, scope=where)
            view.delete(name, scope=where, missing_ok=True)

    @rule(source=SCOPES, into=SCOPES, name=names, to=names, which=st.booleans())
    def copy(self, source: Any, into: Any, name: str, to: str, which: bool) -> None:
        """Copy between names, runs, scopes and namespaces."""
        if name.endswith(".json") != to.endswith(".json"):
            return  # another format
        view = self.stores[which].at(namespace=source[0], run=source[1])
        arguments: dict[str, Any] = {
            "to_name": to,
            "scope": "run" if source[1] else "namespace",
            "to_scope": "run" if into[1] else "namespace",
            "to_run": into[1],
            "to_namespace": into[0],
        }
        if (*source, name) == (*into, to):
            with pytest.raises(InvalidRequestError):
                view.copy(name, **arguments)
        elif (*source, name) not in self.model:
            with pytest.raises(ObjectNotFoundError):
                view.copy(name, **arguments)
        else:
            view.copy(name, **arguments)
            self.model[(*into, to)] = self.model[(*source, name)]

    @invariant()
    def every_scope_lists_its_own(self) -> None:
        """Each scope lists exactly its names, sorted."""
        if not hasattr(self, "stores"):
            return
        for namespace, run in [("prod", "r1"), ("prod", "r:2+x"), ("prod-2", "r1"), ("prod", None)]:
            view = self.stores[0].at(namespace=namespace, run=run)
            listed = view.list(scope="run" if run else "namespace")
            expected = sorted(n for ns, r, n in self.model if (ns, r) == (namespace, run))
            assert expected == [info.name for info in listed]

    @invariant()
    def no_context_is_left(self) -> None:
        """Outside the blocks there is no run."""
        assert find_run_context() is None
