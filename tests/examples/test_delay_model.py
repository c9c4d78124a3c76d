"""The example's model is small enough to be checked against numbers known beforehand."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

MODULE = Path(__file__).parents[2] / "examples" / "flights" / "delay_model.py"


@pytest.fixture(scope="module")
def delay_model() -> ModuleType:
    """Load the module from its file; it belongs to no package."""
    spec = importlib.util.spec_from_file_location("delay_model_under_test", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def frame() -> pd.DataFrame:
    """Delays that are exactly 2 + 3 * left + 1 for AA and - 1 for UA."""
    left = np.arange(40.0)
    carrier = np.where(np.arange(40) % 2, "AA", "UA")
    return pd.DataFrame(
        {
            "left": left,
            "carrier": pd.Categorical(carrier),
            "late": 2 + 3 * left + np.where(carrier == "AA", 1.0, -1.0),
        }
    )


def test_an_exact_relation_is_found(delay_model, frame):
    """With hardly any penalty, the fit is the relation that the data was made with."""
    model = delay_model.fit(frame, "late", ["left"], ["carrier"], ridge=1e-9)
    effects = model["levels"]["carrier"]
    assert pytest.approx(3.0) == model["numeric"]["left"]["coefficient"]
    assert pytest.approx(2.0) == effects["AA"] - effects["UA"]
    assert pytest.approx(frame["late"].tolist()) == delay_model.predict(model, frame).tolist()


def test_a_strong_penalty_leaves_the_mean(delay_model, frame):
    """The intercept is not penalised: what is left of a shrunken model is the mean."""
    model = delay_model.fit(frame, "late", ["left"], ["carrier"], ridge=1e12)
    predicted = delay_model.predict(model, frame)
    assert pytest.approx([frame["late"].mean()] * 40, abs=1e-6) == predicted.tolist()


def test_the_unknown_is_neutral(delay_model, frame):
    """A level never seen has no effect, and a missing number counts as the median."""
    model = delay_model.fit(frame, "late", ["left"], ["carrier"], ridge=1e-9)
    unknown = pd.DataFrame({"left": [np.nan], "carrier": ["ZZ"]}, index=[7])
    expected = model["intercept"] + model["numeric"]["left"]["coefficient"] * 19.5
    predicted = delay_model.predict(model, unknown)
    assert [7] == predicted.index.tolist()
    assert pytest.approx(expected) == predicted.loc[7]


def test_the_model_is_plain_data(delay_model, frame):
    """The model survives JSON unchanged, so reading it back needs no code of the example."""
    model = delay_model.fit(frame, "late", ["left"], ["carrier"])
    assert model == json.loads(json.dumps(model))


def test_scores_are_errors_in_the_unit_of_the_observations(delay_model):
    """Errors of 3 and 4 are 3.5 on average and √12.5 in the root mean square."""
    scores = delay_model.score(pd.Series([3.0, -4.0]), 0.0)
    assert {"mae": 3.5, "rmse": 3.536} == scores
