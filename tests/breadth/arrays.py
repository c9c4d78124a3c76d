"""Arrays, tables and models: SciPy, scikit-learn, statsmodels, torch, xarray and others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["LIBRARIES"]

Types = dict[str, Callable[[], Any]]

_X = np.random.default_rng(1).random((60, 3))
_Y = (_X.sum(axis=1) > 1.5).astype(int)
_FRAME = pd.DataFrame(_X, columns=[*"abc"]).assign(y=_X.sum(axis=1), t=np.arange(60) + 1, e=_Y)


def scipy() -> Types:
    from scipy import interpolate, optimize, signal, sparse, spatial, stats

    dense = np.eye(4) * [1, 0, 3, 0]
    return {
        **{
            f"sparse.{form}": lambda form=form: getattr(sparse, form)(dense)
            for form in (
                *("csr_array", "csc_array", "coo_array", "lil_array", "dok_array", "dia_array"),
                *("bsr_array", "csr_matrix", "csc_matrix", "coo_matrix", "dok_matrix"),
            )
        },
        "sparse.coo_array of 1-d": lambda: sparse.coo_array(np.array([0, 1, 2])),
        "spatial.cKDTree": lambda: spatial.cKDTree(_X),
        "spatial.KDTree": lambda: spatial.KDTree(_X),
        "spatial.ConvexHull": lambda: spatial.ConvexHull(_X),
        "spatial.Delaunay": lambda: spatial.Delaunay(_X),
        "spatial.transform.Rotation": lambda: spatial.transform.Rotation.from_rotvec([0, 0, 1]),
        "interpolate.CubicSpline": lambda: interpolate.CubicSpline([0, 1, 2], [0, 1, 4]),
        "interpolate.interp1d": lambda: interpolate.interp1d([0, 1, 2], [0, 1, 4]),
        "interpolate.BSpline": lambda: interpolate.make_interp_spline([0, 1, 2, 3], [0, 1, 4, 9]),
        "interpolate.RegularGridInterpolator": lambda: interpolate.RegularGridInterpolator(
            ([0.0, 1.0], [0.0, 1.0]), np.eye(2)
        ),
        "interpolate.PPoly": lambda: interpolate.PPoly(np.ones((2, 1)), [0, 1]),
        "optimize.OptimizeResult": lambda: optimize.minimize(_square, [1.0], method="Nelder-Mead"),
        "optimize.LinearConstraint": lambda: optimize.LinearConstraint(np.eye(2), 0, 1),
        "optimize.Bounds": lambda: optimize.Bounds([0], [1]),
        "stats.norm": lambda: _seeded(stats.norm(1, 2)),
        "stats.gaussian_kde": lambda: stats.gaussian_kde(_X[:, 0]),
        "stats.TtestResult": lambda: stats.ttest_1samp(_X[:, 0], 0.5),
        "stats.ecdf": lambda: stats.ecdf(_X[:, 0]),
        "signal.TransferFunction": lambda: signal.TransferFunction([1], [1, 2]),
        "signal.dlti": lambda: signal.dlti([1], [1, 2], dt=0.1),
    }


def _seeded(distribution: Any) -> Any:
    distribution.random_state = 7
    return distribution


def _square(x: Any) -> float:
    return float((x**2).sum())


def sklearn() -> Types:
    from sklearn import (
        cluster,
        compose,
        decomposition,
        ensemble,
        feature_extraction,
        gaussian_process,
        impute,
        linear_model,
        model_selection,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
        utils,
    )

    fitted = {
        "LinearRegression": linear_model.LinearRegression,
        "LogisticRegression": linear_model.LogisticRegression,
        "Lasso": linear_model.Lasso,
        "SGDClassifier": lambda: linear_model.SGDClassifier(random_state=0),
        "DecisionTreeClassifier": lambda: tree.DecisionTreeClassifier(random_state=0),
        "RandomForestClassifier": lambda: ensemble.RandomForestClassifier(3, random_state=0),
        "GradientBoostingClassifier": lambda: ensemble.GradientBoostingClassifier(
            n_estimators=3, random_state=0
        ),
        "HistGradientBoostingClassifier": lambda: ensemble.HistGradientBoostingClassifier(
            max_iter=3, random_state=0
        ),
        "IsolationForest": lambda: ensemble.IsolationForest(n_estimators=3, random_state=0),
        "SVC": svm.SVC,
        "KNeighborsClassifier": neighbors.KNeighborsClassifier,
        "NearestNeighbors": neighbors.NearestNeighbors,
        "GaussianNB": naive_bayes.GaussianNB,
        "MLPClassifier": lambda: neural_network.MLPClassifier(3, max_iter=5, random_state=0),
        "GaussianProcessRegressor": lambda: gaussian_process.GaussianProcessRegressor(
            random_state=0
        ),
        "KMeans": lambda: cluster.KMeans(2, random_state=0, n_init=1),
        "PCA": lambda: decomposition.PCA(2, random_state=0),
        "StandardScaler": preprocessing.StandardScaler,
        "OneHotEncoder": preprocessing.OneHotEncoder,
        "QuantileTransformer": lambda: preprocessing.QuantileTransformer(n_quantiles=5),
        "SimpleImputer": impute.SimpleImputer,
        "Pipeline": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC()),
        "ColumnTransformer": lambda: compose.ColumnTransformer(
            [("s", preprocessing.StandardScaler(), [0])]
        ),
        "GridSearchCV": lambda: model_selection.GridSearchCV(linear_model.Ridge(), {"alpha": [1]}),
    }
    types: Types = {name: lambda make=make: make().fit(_X, _Y) for name, make in fitted.items()}
    types["GridSearchCV"] = fitted["GridSearchCV"]  # a fitted one keeps how long that took
    return types | {
        "TfidfVectorizer": lambda: feature_extraction.text.TfidfVectorizer().fit(["a bc", "bc de"]),
        "KFold": lambda: model_selection.KFold(3),
        "KDTree": lambda: neighbors.KDTree(_X),
        "BallTree": lambda: neighbors.BallTree(_X),
        "Bunch": lambda: utils.Bunch(data=_X, names=["a"]),
    }


def statsmodels() -> Types:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf
    from statsmodels.tsa.arima.model import ARIMA

    return {
        "OLS results": lambda: sm.OLS(_FRAME.y, sm.add_constant(_FRAME[["a"]])).fit(),
        "GLM results": lambda: sm.GLM(_Y, _X, family=sm.families.Binomial()).fit(),
        "formula": lambda: smf.ols("y ~ a + b", _FRAME).fit(),
        "Logit results": lambda: sm.Logit(_Y, _X).fit(disp=0),
        "ARIMA results": lambda: ARIMA(_FRAME.y.to_numpy(), order=(1, 0, 0)).fit(),
        "ECDF": lambda: sm.distributions.ECDF(_X[:, 0]),
        "SimpleTable": lambda: sm.OLS(_FRAME.y, _FRAME[["a"]]).fit().summary().tables[0],
    }


def lightgbm() -> Types:
    import lightgbm as lgb

    options = {"verbose": -1, "min_data_in_leaf": 2, "num_threads": 1, "deterministic": True}
    return {
        "Booster": lambda: lgb.train(options, lgb.Dataset(_X, _Y), 3),
        "LGBMClassifier": lambda: lgb.LGBMClassifier(n_estimators=3, **options).fit(_X, _Y),
        "Dataset": lambda: lgb.Dataset(_X, _Y),
    }


def torch() -> Types:
    import torch

    def seeded(make: Callable[[], Any]) -> Callable[[], Any]:
        def build() -> Any:
            torch.manual_seed(0)
            return make()

        return build

    nn = torch.nn
    types: Types = {
        "Tensor": lambda: torch.arange(6.0).reshape(2, 3),
        "Tensor of bfloat16": lambda: torch.ones(3, dtype=torch.bfloat16),
        "Tensor of float8": lambda: torch.ones(3).to(torch.float8_e4m3fn),
        "Tensor of complex": lambda: torch.ones(3, dtype=torch.complex64),
        "Tensor with a gradient": lambda: torch.ones(3, requires_grad=True),
        "Tensor that is computed": lambda: torch.ones(3, requires_grad=True) * 2,
        "Tensor in channels_last": lambda: torch.ones(1, 2, 3, 4).to(
            memory_format=torch.channels_last
        ),
        "sparse Tensor": lambda: torch.eye(3).to_sparse(),
        "sparse_csr Tensor": lambda: torch.eye(3).to_sparse_csr(),
        "Tensor on meta": lambda: torch.ones(3, device="meta"),
        "nn.Parameter": lambda: nn.Parameter(torch.ones(3)),
        "nn.Linear": lambda: nn.Linear(3, 2),
        "nn.LSTM": lambda: nn.LSTM(3, 2),
        "nn.Sequential": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()),
        "state_dict": lambda: nn.Linear(3, 2).state_dict(),
        "optim.Adam": lambda: torch.optim.Adam(nn.Linear(3, 2).parameters()),
        "optim.Adam.state_dict": lambda: torch.optim.Adam(
            nn.Linear(3, 2).parameters()
        ).state_dict(),
        "Size": lambda: torch.Size([1, 2]),
        "dtype": lambda: torch.float32,
        "device": lambda: torch.device("cpu"),
        "Generator": lambda: torch.Generator(),
        "distributions.Normal": lambda: torch.distributions.Normal(0.0, 1.0),
        "utils.data.TensorDataset": lambda: torch.utils.data.TensorDataset(torch.arange(3)),
        "utils.data.DataLoader": lambda: torch.utils.data.DataLoader(torch.arange(3)),
        "nn.utils.rnn.PackedSequence": lambda: nn.utils.rnn.pack_sequence([torch.ones(2)]),
        "jit.ScriptModule": lambda: torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)),
        "UntypedStorage": lambda: torch.arange(3).untyped_storage(),
    }
    return {name: seeded(make) for name, make in types.items()}


def xarray() -> Types:
    import xarray as xr

    data = xr.Dataset(
        {"a": (("x", "y"), _X[:2, :2], {"unit": "m"})},
        {"x": [1, 2], "y": ["p", "q"], "when": ("x", pd.date_range("2024", periods=2))},
        {"title": "t"},
    )
    return {
        "Dataset": lambda: data.copy(deep=True),
        "DataArray": lambda: data["a"].copy(deep=True),
        "Variable": lambda: data["a"].variable.copy(),
        "IndexVariable": lambda: data["x"].variable.copy(),
        "DataTree": lambda: xr.DataTree.from_dict({"/": data, "/sub": data}),
        "Dataset of MultiIndex": lambda: data.stack(z=("x", "y")),
        "Dataset of chunks": lambda: data.chunk(),
        "Dataset of cftime": lambda: xr.Dataset(
            coords={"t": xr.date_range("0001", periods=2, use_cftime=True)}
        ),
        "DatasetGroupBy": lambda: data.groupby("x"),
    }


def ml_dtypes() -> Types:
    import ml_dtypes

    kinds = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int4", "uint4", "int2")
    types: Types = {
        kind: lambda kind=kind: np.array([0, 1, 1]).astype(getattr(ml_dtypes, kind))
        for kind in kinds
    }
    return types | {
        "bfloat16 scalar": lambda: ml_dtypes.bfloat16(1.5),
        "dtype": lambda: np.dtype(ml_dtypes.bfloat16),
    }


def astropy() -> Types:
    import astropy.coordinates as coordinates
    import astropy.units as units
    from astropy.table import QTable, Table
    from astropy.time import Time

    return {
        "Quantity": lambda: np.arange(3.0) * units.m,
        "Unit": lambda: units.km / units.s,
        "Table": lambda: Table({"a": [1, 2], "b": ["x", "y"]}),
        "QTable": lambda: QTable({"a": [1, 2] * units.m}),
        "Time": lambda: Time("2024-01-01"),
        "SkyCoord": lambda: coordinates.SkyCoord(1, 2, unit="deg"),
        "Angle": lambda: coordinates.Angle("1d"),
    }


def anndata() -> Types:
    import anndata

    return {"AnnData": lambda: anndata.AnnData(_X, obs=_FRAME[["a"]].set_axis(map(str, range(60))))}


def sparse() -> Types:
    import sparse as sp

    return {
        "COO": lambda: sp.COO.from_numpy(np.eye(3)),
        "GCXS": lambda: sp.GCXS.from_numpy(np.eye(3)),
        "DOK": lambda: sp.DOK.from_numpy(np.eye(3)),
    }


def awkward() -> Types:
    import awkward as ak

    return {
        "Array": lambda: ak.Array([[1, 2], [], [3]]),
        "Record": lambda: ak.Record({"a": [1, 2], "b": "x"}),
    }


def numba() -> Types:
    from numba import njit
    from numba.typed import Dict, List

    return {
        "typed.List": lambda: List([1, 2]),
        "typed.Dict": lambda: _filled(Dict.empty),
        "njit": lambda: njit(_square),
    }


def _filled(empty: Any) -> Any:
    from numba import types

    found = empty(types.unicode_type, types.int64)
    found["a"] = 1
    return found


def lifelines() -> Types:
    import lifelines as life

    return {
        "KaplanMeierFitter": lambda: life.KaplanMeierFitter().fit(_FRAME.t, _FRAME.e),
        "CoxPHFitter": lambda: life.CoxPHFitter().fit(_FRAME[["a", "t", "e"]], "t", "e"),
    }


def imblearn() -> Types:
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    return {
        "SMOTE": lambda: SMOTE(random_state=0),
        "Pipeline": lambda: make_pipeline(SMOTE(random_state=0)),
    }


def category_encoders() -> Types:
    import category_encoders as ce

    return {"OrdinalEncoder": lambda: ce.OrdinalEncoder().fit(pd.DataFrame({"a": ["x", "y"]}))}


def optuna() -> Types:
    import optuna as opt

    opt.logging.set_verbosity(opt.logging.ERROR)
    return {
        "FrozenTrial": lambda: opt.trial.create_trial(
            value=1.0,
            params={"x": 0.5},
            distributions={"x": opt.distributions.FloatDistribution(0, 1)},
        ),
        "FloatDistribution": lambda: opt.distributions.FloatDistribution(0, 1),
        "Study": lambda: opt.create_study(study_name="s"),
    }


def cftime() -> Types:
    import cftime as cf

    return {
        "datetime": lambda: cf.datetime(2024, 2, 30, calendar="360_day"),
        "DatetimeNoLeap": lambda: cf.DatetimeNoLeap(2024, 1, 1),
    }


LIBRARIES: dict[str, Callable[[], Types]] = {
    make.__name__: make
    for make in (
        *(scipy, sklearn, statsmodels, lightgbm, torch, xarray, ml_dtypes, astropy, anndata),
        *(sparse, awkward, numba, lifelines, imblearn, category_encoders, optuna, cftime),
    )
}
