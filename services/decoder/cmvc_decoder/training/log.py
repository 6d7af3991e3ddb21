"""The loss, step by step: a CSV file to read on with other tools, and a chart to look at."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from cmvc.files import whole_file

_SMOOTHED = 0.95  # share of the past in the smoothed curve


@dataclass(frozen=True)
class Row:
    """One step; ``None`` is an empty cell.

    Attributes:
        step: of the optimizer, from 1; 0 before training.
        loss: mean over the step's clips; None at step 0.
        held_out_loss: mean over the held-out clips, where it was computed.
        learning_rate: of the step.
        seconds: spent on training so far, over all sittings.
    """

    step: int
    loss: float | None
    held_out_loss: float | None
    learning_rate: float
    seconds: float


NAMES = tuple(each.name for each in fields(Row))


class Log:
    """The rows of a run, in memory and on disk."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        """Begin with ``rows``, in place of what the file held."""
        self.rows = rows
        self._path = path
        with whole_file(path) as file:
            file.write(_lines([NAMES, *map(astuple, rows)]))

    def add(self, row: Row) -> None:
        """Append a row."""
        self.rows.append(row)
        with self._path.open("ab") as file:
            file.write(_lines([astuple(row)]))

    @property
    def held_out(self) -> list[float]:
        """The held-out losses so far."""
        return [row.held_out_loss for row in self.rows if row.held_out_loss is not None]


def _lines(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)  # floats in full, so that curves can be compared exactly
    return text.getvalue().encode()


def read_rows(path: Path, last_step: int) -> list[Row]:
    """Return the rows of a file up to a step; later ones are of steps that were not saved."""
    with path.open(newline="") as file:
        rows = [[float(cell) if cell else None for cell in cells] for cells in list(csv.reader(file))[1:]]
    full = [cells for cells in rows if len(cells) == len(NAMES) and cells[0] is not None and cells[0] <= last_step]
    return [Row(int(step or 0), loss, held, rate or 0.0, seconds or 0.0) for step, loss, held, rate, seconds in full]


def draw_chart(rows: list[Row], path: Path, held_out: str = "held-out loss") -> None:
    """Draw loss and held-out loss, or what was measured in its place, over steps, as PNG."""
    import matplotlib as mpl  # noqa: PLC0415  # takes a second

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, panel = plt.subplots(figsize=(8, 4.5))
    losses = [(row.step, row.loss) for row in rows if row.loss is not None]
    held = [(row.step, row.held_out_loss) for row in rows if row.held_out_loss is not None]
    if losses:
        steps, values = zip(*losses, strict=True)
        panel.plot(steps, values, color="C0", alpha=0.25, linewidth=0.8, label="loss of a step")
        panel.plot(steps, _smooth(values), color="C0", label="loss, smoothed")
    if held:
        panel.plot(*zip(*held, strict=True), color="C1", marker="o", markersize=3, label=held_out)
    panel.set(xlabel="step", ylabel="loss" if losses else held_out, ylim=(0, None))
    panel.grid(alpha=0.3)
    panel.legend()
    figure.tight_layout()
    with whole_file(path) as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)


def _smooth(values: tuple[float, ...]) -> list[float]:
    smooth, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = _SMOOTHED * mean + (1 - _SMOOTHED) * value, _SMOOTHED * weight + 1 - _SMOOTHED
        smooth.append(mean / weight)
    return smooth
