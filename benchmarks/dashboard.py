"""Draws the panels of the Grafana dashboard from what a Prometheus holds, as one picture.

    python -m benchmarks.dashboard --prometheus http://127.0.0.1:9091 --minutes 15 --out dashboard.png

No Grafana is needed; the picture shows what its dashboard shows, plainly.
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

DASHBOARD = Path(__file__).parents[1] / "deploy/monitoring/grafana/dashboards/cmvc.json"
COLUMNS = 24  # of Grafana's grid
COLUMN_INCHES, ROW_INCHES = 0.8, 0.36
_LETTER_INCHES = 0.08  # of a name, at most, in the size that they are written in
STEPS = 240  # points along the time axis, about
_COLOURS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "transparent": "none"}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))
_SUFFIXES = {"bps": "bit/s", "Bps": "B/s", "s": "s", "reqps": "/s", "ops": "/s"}


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds since the epoch, and what Grafana would make of it.

    Attributes:
        start: its beginning.
        end: its end.
        rate_s: window of rates; four scrapes or more.
    """

    start: float
    end: float
    rate_s: int = 20

    @property
    def step(self) -> int:
        """Seconds between two points, whole and at least 1."""
        return max(1, round((self.end - self.start) / STEPS))

    def filled_in(self, query: str) -> str:
        """Return ``query`` with the dashboard's variables replaced; those to choose from stand for everything."""
        query = query.replace("$__rate_interval", f"{self.rate_s}s")
        query = query.replace("$__range", f"{max(1, round(self.end - self.start))}s")
        return re.sub(r'"\$\w+"', '".*"', query)


@dataclass(frozen=True)
class Series:
    """One line of a panel: its name, and its points as (seconds since the epoch, value)."""

    name: str
    points: list[tuple[float, float]]

    @property
    def finite(self) -> list[tuple[float, float]]:
        """The points that are numbers."""
        return [(moment, value) for moment, value in self.points if math.isfinite(value)]


@dataclass(frozen=True)
class Query:
    """What a panel asks for; ``instant`` asks for the end of the span only."""

    expression: str
    legend: str
    instant: bool


@dataclass(frozen=True)
class Panel:
    """A panel of the dashboard, as Grafana's JSON has it."""

    json: dict[str, Any]

    @property
    def kind(self) -> str:
        """``timeseries``, ``stat``, ``bargauge``, ``state-timeline`` or ``row``."""
        return str(self.json["type"])

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.json["title"])

    @property
    def defaults(self) -> dict[str, Any]:
        """Unit, thresholds and the like."""
        found: dict[str, Any] = self.json["fieldConfig"]["defaults"]
        return found

    @property
    def queries(self) -> list[Query]:
        """What it asks for."""
        return [Query(one["expr"], one["legendFormat"], one["instant"]) for one in self.json.get("targets", [])]


def panels(path: Path = DASHBOARD) -> list[Panel]:
    """Return the panels of a dashboard, rows among them."""
    return [Panel(each) for each in json.loads(path.read_text())["panels"]]


def ask(prometheus: str, path: str, **parameters: object) -> dict[str, Any]:
    """Return the data of an answer of Prometheus' HTTP API."""
    with urlopen(f"{prometheus}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as response:
        data: dict[str, Any] = json.load(response)["data"]
        return data


def fetch(prometheus: str, query: Query, span: Span) -> list[Series]:
    """Return what a query gives over ``span``."""
    expression = span.filled_in(query.expression)
    if query.instant:
        data = ask(prometheus, "query", query=expression, time=span.end)
    else:
        data = ask(prometheus, "query_range", query=expression, start=span.start, end=span.end, step=span.step)
    found = []
    for result in data["result"]:
        points = result["values"] if "values" in result else [result["value"]]
        labels: dict[str, str] = result["metric"]
        name = query.legend
        for label in re.findall(r"\{\{(\w+)\}\}", name):
            name = name.replace(f"{{{{{label}}}}}", labels.get(label, ""))
        found.append(Series(" ".join(name.split()), [(float(moment), float(value)) for moment, value in points]))
    return sorted(found, key=lambda series: series.name)


def in_unit(value: float, unit: str) -> str:
    """Return ``value`` in one of Grafana's units, three digits long."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit.startswith("suffix:"):
        return f"{value:.3g}{unit.removeprefix('suffix:')}"
    factor, prefix = next((pair for pair in _PREFIXES if abs(value) >= pair[0]), (1, ""))
    if unit not in ("bps", "Bps", "s") or (unit == "s" and factor > 1):
        factor, prefix = 1, ""
    suffix = prefix + _SUFFIXES.get(unit, "")
    return f"{value / factor:.3g}{' ' if suffix else ''}{suffix}"


def _colour(panel: Panel, value: float) -> str:
    steps = panel.defaults["thresholds"]["steps"]
    return _COLOURS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def _clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def _draw_stat(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    axes.set_axis_off()
    for number, series in enumerate(found):
        height = 1 / len(found)
        value = series.points[-1][1]
        bottom = 1 - (number + 1) * height
        axes.add_patch(Rectangle((0, bottom), 1, 0.97 * height, color=_colour(panel, value), alpha=0.6))
        text = in_unit(value, panel.defaults["unit"])
        named = len(found) > 1 or panel.json["options"]["textMode"] == "value_and_name"
        name = f"{series.name}\n" if named else ""
        axes.text(0.5, bottom + height / 2, name + text, ha="center", va="center", fontsize=13)


def _draw_bars(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    values = [series.points[-1][1] for series in found]
    bars = axes.barh([series.name for series in found], values, color=[_colour(panel, value) for value in values])
    axes.bar_label(bars, [in_unit(value, panel.defaults["unit"]) for value in values], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.xaxis.set_visible(False)


def _draw_states(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    names = {int(value): text["text"] for value, text in panel.defaults["mappings"][0]["options"].items()}
    for number, series in enumerate(found):
        for (moment, value), (after, _) in pairwise(series.points):
            axes.barh(number, after - moment, left=moment, height=0.6, color=_colour(panel, value))
        for (moment, value), side in zip((series.points[0], series.points[-1]), ("left", "right"), strict=True):
            axes.text(moment, number, f" {names[int(value)]} ", va="center", ha=side, fontsize=8)
    axes.set_yticks(range(len(found)), [series.name for series in found])
    axes.invert_yaxis()


def _draw_lines(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    if panel.defaults["custom"].get("stacking") and found:
        moments = sorted({moment for series in found for moment, _ in series.points})
        heights = [[dict(series.finite).get(moment, 0.0) for moment in moments] for series in found]
        axes.stackplot(moments, heights, labels=[series.name for series in found], alpha=0.7)
    else:
        for series in found:
            axes.plot(*zip(*series.points, strict=True), label=series.name, marker=".", ms=2)
    if panel.defaults["custom"].get("thresholdsStyle"):
        axes.axhline(panel.defaults["thresholds"]["steps"][-1]["value"], color=_COLOURS["red"], linestyle="--")
    axes.set_ylim(bottom=0)
    unit = panel.defaults["unit"]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value, unit)))
    axes.grid(alpha=0.3)
    if found:
        axes.legend(fontsize=7, loc="upper left", ncols=1 + len(found) // 5, framealpha=0.6)


_DRAWERS: dict[str, Callable[[Axes, Panel, Sequence[Series]], None]] = {
    "stat": _draw_stat,
    "bargauge": _draw_bars,
    "state-timeline": _draw_states,
    "timeseries": _draw_lines,
}


def draw(found: Sequence[tuple[Panel, Sequence[Series]]], span: Span, path: Path) -> None:
    """Draw the panels where they stand on the dashboard.

    Args:
        found: each panel with what its queries gave.
        span: the time to show; the axes count minutes and seconds from its start.
        path: of the PNG.
    """
    rows = max(panel.json["gridPos"]["y"] + panel.json["gridPos"]["h"] for panel, _ in found)
    width, height = COLUMNS * COLUMN_INCHES, rows * ROW_INCHES
    figure = plt.figure(figsize=(width, height), facecolor="white")
    for panel, series in found:
        place = panel.json["gridPos"]
        left, top = place["x"] * COLUMN_INCHES, height - place["y"] * ROW_INCHES
        if panel.kind == "row":
            figure.text(0.15 / width, (top - 0.25) / height, panel.title, fontsize=15, weight="bold")
            continue
        named = panel.kind in ("bargauge", "state-timeline")  # their names stand left of them
        longest = max((len(each.name) for each in series), default=0)
        left_margin = max(1.3, _LETTER_INCHES * longest) if named else 0.15 if panel.kind == "stat" else 0.75
        margins = {"left": left_margin, "right": 0.15, "top": 0.3, "bottom": 0.3}
        inches = (
            left + margins["left"],
            top - place["h"] * ROW_INCHES + margins["bottom"],
            place["w"] * COLUMN_INCHES - margins["left"] - margins["right"],
            place["h"] * ROW_INCHES - margins["top"] - margins["bottom"],
        )
        axes = figure.add_axes((inches[0] / width, inches[1] / height, inches[2] / width, inches[3] / height))
        axes.set_title(panel.title, fontsize=10, loc="left")
        axes.tick_params(labelsize=8)
        _DRAWERS[panel.kind](axes, panel, series)
        if panel.kind in ("timeseries", "state-timeline"):
            axes.set_xlim(span.start, span.end)
            ticks = [span.start + quarter * (span.end - span.start) / 4 for quarter in range(5)]
            axes.set_xticks(ticks, [_clock(tick - span.start) for tick in ticks])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75)
    plt.close(figure)


def fetch_all(prometheus: str, span: Span) -> list[tuple[Panel, list[Series]]]:
    """Return every panel with what its queries give."""
    return [
        (panel, [series for query in panel.queries for series in fetch(prometheus, query, span)]) for panel in panels()
    ]


def main() -> None:
    """Draw the last minutes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9091", help="its URL")
    parser.add_argument("--minutes", type=float, default=15, help="how far back")
    parser.add_argument("--out", type=Path, default=Path("dashboard.png"), help="the picture")
    arguments = parser.parse_args()
    span = Span(time.time() - 60 * arguments.minutes, time.time())
    draw(fetch_all(arguments.prometheus, span), span, arguments.out)
    print(f"dashboard: {arguments.out}")


if __name__ == "__main__":
    main()
