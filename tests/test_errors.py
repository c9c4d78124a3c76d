import inspect
import pickle

import pytest

from runstore import errors

CLASSES = [
    kind
    for kind in (getattr(errors, name) for name in errors.__all__)
    if not issubclass(kind, Warning)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_the_way_back_from_a_worker(kind):
    """Each class is rebuilt by pickle with its message, object and details."""
    parameters = list(inspect.signature(kind.__init__).parameters)[1:]
    values = {"message": "what happened", "ref": "ns/run/name", "errors": {"a": ValueError("x")},
              "results": {"b": 1}, "stage": "train", "traceback": "text", "run": None}  # fmt: skip
    error = kind(*[values[name] for name in parameters])
    back = pickle.loads(pickle.dumps(error))
    assert kind is type(back)
    assert "what happened" == str(back)
    for name in parameters:
        assert repr(getattr(error, name)) == repr(getattr(back, name))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_one_tree(kind):
    """Each class is a RunStoreError, has a docstring, and stands in the module's picture."""
    assert issubclass(kind, errors.RunStoreError)
    assert kind.__doc__
    assert kind.__name__ in errors.__doc__


def test_every_warning_is_in_one_tree():
    """Each warning is a RunStoreWarning, has a docstring, and stands in the module's picture."""
    warnings = {getattr(errors, name) for name in errors.__all__} - set(CLASSES)
    for kind in warnings:
        assert issubclass(kind, errors.RunStoreWarning)
        assert kind.__doc__
        assert kind.__name__ in errors.__doc__
    assert {errors.RunStoreWarning} < warnings


def test_all_is_complete_and_sorted():
    """__all__ names every class of the module, sorted."""
    defined = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert sorted(defined) == errors.__all__


def test_a_missing_object_is_a_key_error_that_reads_well():
    """ObjectNotFoundError is a KeyError, and its text has no quotes around it."""
    with pytest.raises(KeyError) as caught:
        raise errors.ObjectNotFoundError("no object 'x'", "ns/run/x")
    assert "no object 'x'" == str(caught.value)
