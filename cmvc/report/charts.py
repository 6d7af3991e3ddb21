"""Charts of a report as SVG, in the colours that its style sheet names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 860, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 26
_TICKS = 4  # about so many on an axis


@dataclass(frozen=True)
class Line:
    """One line of a chart: its class in the style sheet, what it is of, and points in seconds and the chart's unit."""

    style: str
    name: str
    points: Sequence[tuple[float, float]]


def steps(runs: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Return the points of a line that keeps a value from one time to another: of each run start, end and value."""
    return [point for start, end, value in runs for point in ((start, value), (end, value))]


def binned(values: Sequence[float], rate: float, seconds: float = 0.5) -> list[tuple[float, float]]:
    """Return the means of ``values``, of which there are ``rate`` a second, over ``seconds`` each, at their middles."""
    size = max(round(rate * seconds), 1)
    runs = [values[start : start + size] for start in range(0, len(values), size)]
    return [((number * size + len(run) / 2) / rate, sum(run) / len(run)) for number, run in enumerate(runs)]


def chart(title: str, lines: Sequence[Line], seconds: float, *, from_zero: bool) -> Markup:
    """Return a chart of ``lines`` over time.

    Args:
        title: what it shows, for those who do not see it.
        lines: at least one point in all.
        seconds: that the axis of time has.
        from_zero: whether the axis starts at 0, or near the least value.
    """
    values = [value for line in lines for _, value in line.points]
    least, most = (0.0 if from_zero else min(values)), max(values)
    marks = _marks(least, most)
    low, high = min(least, marks[0]), max(most, marks[-1])

    def x(time: float) -> float:
        return _LEFT + time / seconds * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
        for mark in marks
    ]
    parts += [
        f'<text x="{x(mark):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{mark:g} s</text>'
        for mark in _marks(0.0, seconds)
    ]
    for line in lines:
        path = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in line.points)
        parts.append(
            f'<polyline class="line {escape(line.style)}" points="{path}"><title>{escape(line.name)}</title></polyline>'
        )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _marks(least: float, most: float) -> list[float]:
    """Return round numbers from ``least`` or more to ``most`` or less, at least one."""
    span = (most - least) or abs(most) or 1.0
    rough = span / _TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    return [number * step for number in range(first, last + 1)] or [least]
