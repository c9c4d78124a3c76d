"""A ridge regression for flight delays: NumPy only, and a model that is plain data.

The fitted model is a dict of strings and numbers. Whoever gets it from the store
needs neither this file nor scikit-learn to read it, and no code is executed when
it is loaded.
"""

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["fit", "predict", "score"]


def fit(
    frame: pd.DataFrame,
    target: str,
    numeric: list[str],
    categorical: list[str],
    ridge: float = 1.0,
) -> dict[str, Any]:
    """Fit a linear model of *target* by least squares with a ridge penalty.

    Numeric columns are standardised for the fit, so the penalty treats minutes and
    miles alike; the coefficients returned are per unit of the column as it stands.

    Args:
        frame: One row per flight; the target has no missing values.
        target: The column to predict.
        numeric: Columns that enter linearly. A missing value counts as the column's median.
        categorical: Columns that enter with one effect per level.
        ridge: The strength of the penalty, in rows: 1.0 weighs as much as one
            observation, so an effect seen on few flights is drawn towards zero.

    Returns:
        ``{"target", "intercept", "numeric": {column: {"coefficient", "missing"}},
        "levels": {column: {level: effect}}}``, all plain Python values.
    """
    filled = frame[numeric].astype("float64")
    missing = filled.median()
    filled = filled.fillna(missing)
    center, spread = filled.mean(), filled.std().replace(0.0, 1.0)
    dummies = {name: pd.get_dummies(frame[name].astype("category")) for name in categorical}

    standard = (filled - center) / spread
    design = np.column_stack([standard, *dummies.values()]).astype("float64", copy=False)
    shift = design.mean(axis=0)  # centred columns keep the intercept out of the penalty
    design -= shift
    observed = frame[target].to_numpy(dtype="float64")
    mean = observed.mean()
    gram = design.T @ design
    gram[np.diag_indices_from(gram)] += ridge
    weights = np.linalg.solve(gram, design.T @ (observed - mean))

    slopes = weights[: len(numeric)] / spread.to_numpy()
    effects = iter(weights[len(numeric) :].tolist())
    return {
        "target": target,
        "intercept": float(mean - weights @ shift - slopes @ center.to_numpy()),
        "numeric": {
            name: {"coefficient": float(slope), "missing": float(missing[name])}
            for name, slope in zip(numeric, slopes, strict=True)
        },
        "levels": {
            name: {str(level): next(effects) for level in columns.columns}
            for name, columns in dummies.items()
        },
    }


def predict(model: dict[str, Any], frame: pd.DataFrame) -> pd.Series:
    """Predict the model's target for every row of *frame*.

    Args:
        model: What `fit` returned.
        frame: Has the columns the model was fitted on. A level the model has not seen
            has no effect; a missing number counts as the median it was fitted with.

    Returns:
        float64, on the index of *frame*.
    """
    total = np.full(len(frame), model["intercept"])
    for name, term in model["numeric"].items():
        total += term["coefficient"] * frame[name].astype("float64").fillna(term["missing"])
    for name, effects in model["levels"].items():
        total += frame[name].astype("str").map(effects).astype("float64").fillna(0.0)
    return pd.Series(total, index=frame.index, name=f"predicted_{model['target']}")


def score(observed: pd.Series, predicted: pd.Series | float) -> dict[str, float]:
    """Give the mean absolute and the root mean squared error, in the unit of *observed*."""
    error = observed - predicted
    return {
        "mae": round(float(error.abs().mean()), 3),
        "rmse": round(float((error**2).mean() ** 0.5), 3),
    }
