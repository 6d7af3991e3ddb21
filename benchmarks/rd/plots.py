"""Quality over rate, one panel per clip, and the mean gain over the hull of the main baselines in a last one."""

import math
from pathlib import Path
from statistics import fmean

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from benchmarks.rd.compare import Field
from benchmarks.rd.points import TITLES

_COLUMNS = 4
_STEPS = 60  # rates along a curve


def draw(field: Field, metric: str, path: Path) -> None:
    """Draw one metric: hulls as lines, with each codec's points as marks."""
    clips = field.clips
    lines = -(-(len(clips) + 1) // _COLUMNS)
    figure, panels = plt.subplots(lines, _COLUMNS, figsize=(4 * _COLUMNS, 3 * lines), squeeze=False)
    flat = list(panels.flat)
    for panel, clip in zip(flat, clips, strict=False):
        _clip(panel, field, clip, metric)
    _gain(flat[len(clips)], field, metric)
    for panel in flat[len(clips) + 1 :]:
        panel.set_axis_off()
    for panel in flat[: len(clips) + 1]:
        _rate_axis(panel)
    flat[0].set_ylabel(TITLES[metric])
    flat[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _clip(panel: Axes, field: Field, clip: str, metric: str) -> None:
    for number, codec in enumerate((*field.methods, *field.baselines)):
        points, hull = field.of(clip, [codec]), field.hull(clip, [codec], metric)
        mark, width = (".", 2.0) if codec in field.methods else ("x", 0.8)
        rates = [point.bits_per_second / 1000 for point in points]
        panel.plot(rates, [point.scores[metric] for point in points], mark, color=f"C{number}", markersize=4)
        along = _rates(hull.rates[0], hull.rates[-1]) if hull else []
        qualities = [hull.quality_at(rate) or 0.0 for rate in along]
        panel.plot([rate / 1000 for rate in along], qualities, color=f"C{number}", label=codec, linewidth=width)
    panel.set_title(clip, fontsize=9)


def _gain(panel: Axes, field: Field, metric: str) -> None:
    """Draw how much better than the main baselines each method is at the same rate, on the clips where both decode."""
    rates = _rates(1000, field.limit)
    for number, method in enumerate(field.methods):
        hulls = [[field.hull(clip, codecs, metric) for codecs in ([method], field.main)] for clip in field.clips]
        gains = []
        for rate in rates:
            pairs = [(ours.quality_at(rate), theirs.quality_at(rate)) for ours, theirs in hulls]
            known = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
            gains.append(fmean(known) if known else math.nan)
        panel.plot([rate / 1000 for rate in rates], gains, color=f"C{number}", label=method)
    panel.axhline(0, color="grey", linewidth=0.8)
    panel.set_title(f"mean {TITLES[metric]} over {' + '.join(field.main)}", fontsize=7)
    panel.legend(fontsize=6)


def _rates(least: float, most: float) -> list[float]:
    """Return rates from ``least`` to ``most``, evenly spaced on a logarithmic axis."""
    steps = [least * (most / least) ** (step / _STEPS) for step in range(_STEPS)]
    return [*steps, most]


def _rate_axis(panel: Axes) -> None:
    panel.set(xscale="log", xlabel="kbit/s")
    panel.xaxis.set_major_locator(FixedLocator([1, 2, 4, 8, 16, 32, 64]))
    panel.xaxis.set_major_formatter(ScalarFormatter())
    panel.xaxis.set_minor_locator(NullLocator())
    panel.grid(alpha=0.3)
