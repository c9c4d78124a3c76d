"""The figures of README and docs/performance.md, as SVG, from the result files alone."""

from pathlib import Path
from typing import Any

from benchmarks._report import STEP_NAMES
from benchmarks._results import only, per_object, size, time_of
from benchmarks._rounds import Result

__all__ = ["draw"]

Files = dict[str, dict[str, Any]]

_OURS, _OTHER, _LIMIT = "#d1495b", "#9aa5b1", "#3d5a80"
_BYTES_ALONE = ("raw", "memcpy", "boto3", "s3fs", "obstore")


def draw(files: Files, folder: Path) -> list[Path]:
    """Draw what was measured; gives the files that were written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    # Equal figures are equal files: no random ids and no date.
    mpl.rcParams |= {"svg.hashsalt": "runstore", "svg.fonttype": "none", "font.size": 9}
    results = [result for file in files.values() for result in file["results"]]
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, figure in (
        ("frame-256MB", _bars(pyplot, results, _FRAME)),
        ("s3", _bars(pyplot, results, _ON_S3)),
        ("growth-size", _growth(pyplot, results, "size")),
        ("growth-count", _growth(pyplot, results, "count")),
        ("growth-runs", _growth(pyplot, results, "runs")),
    ):
        if figure is not None:
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            pyplot.close(figure)
            drawn.append(path)
    return drawn


_FRAME = tuple(("frame-floats-256MB", step) for step in ("put", "get", "get_touch"))
_ON_S3 = (
    *(("s3-array-256MB", step) for step in ("put", "get")),
    *(("s3-bytes-1KiB-300-at-once", step) for step in ("put_many", "get_many")),
)


def _bars(pyplot: Any, results: list[Result], panels: tuple[tuple[str, str], ...]) -> Any:
    """A panel for each step: one bar a peer, the shortest time the best."""
    if not all(only(results, case) for case, _ in panels):
        return None
    earlier: list[str] = []
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.1 * len(panels), 2.6))
    for axis, (case, step) in zip(axes, panels, strict=True):
        shown = [r for r in only(results, case) if r["peer"] != "memcpy"][::-1]
        times = [per_object(result, step) for result in shown]
        axis.barh(
            range(len(shown)), [time or 0 for time in times], color=[_color(r) for r in shown]
        )
        labels = [result["label"] for result in shown]
        axis.set_yticks(range(len(shown)), labels if labels != earlier else [])
        earlier = labels
        axis.set_xscale("log")
        longest = max(time for time in times if time)
        axis.set_xlim(min(time for time in times if time) / 3, longest * 12)
        for i, time in enumerate(times):
            axis.text((time or longest) * 1.15, i, time_of(time), va="center")
        axis.set_title(f"{STEP_NAMES[step]}, {size(shown[0]['bytes'])}", loc="left")
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(bottom=False, which="both", labelbottom=False)
    figure.supxlabel("median time for one object, logarithmic: shorter is better", fontsize=8)
    figure.tight_layout()
    return figure


def _color(result: Result) -> str:
    if result["peer"].startswith("runstore"):
        return _OURS
    return _LIMIT if result["peer"] in _BYTES_ALONE else _OTHER


_AXES = {
    "size": ("bytes", "size of the frame, bytes", ("put", "get", "get_touch")),
    "count": ("count", "objects in the run", ("put", "get", "names")),
    "runs": ("runs", "runs in the store", ("put", "get", "names")),
}


def _growth(pyplot: Any, results: list[Result], kind: str) -> Any:
    """Time against size or number, both logarithmic: a panel for each place."""
    measure, label, steps = _AXES[kind]
    found = [r for r in results if r["case"].startswith(f"growth-{kind}-") and r["samples"]]
    places = list(dict.fromkeys(result["place"] for result in found))
    if not places:
        return None
    figure, axes = pyplot.subplots(1, len(places), figsize=(5.0 * len(places), 3.4), squeeze=False)
    for axis, place in zip(axes[0], places, strict=True):
        here = [result for result in found if result["place"] == place]
        for peer in dict.fromkeys(result["peer"] for result in here):
            for number, step in enumerate(steps):
                points = [
                    (result[measure], per_object(result, step))
                    for result in here
                    if result["peer"] == peer and step in result["samples"]
                ]
                if points:
                    mine = next(result for result in here if result["peer"] == peer)
                    name = f"{mine['label']}: {STEP_NAMES[step]}"
                    style = ("-", "--", ":")[number]
                    axis.plot(
                        *zip(*points, strict=True),
                        style,
                        marker=".",
                        label=name,
                        color=_color(mine),
                    )
        axis.set(xscale="log", yscale="log", xlabel=label, ylabel="seconds", title=place)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.tight_layout()
    return figure
