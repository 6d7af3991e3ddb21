"""The rate-quality chart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter


def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw VMAF over bit rate, one panel per clip: ours as lines, every baseline point as a mark."""
    clips = list(dict.fromkeys(point["clip"] for point in points))
    methods = list(dict.fromkeys(point["method"] for point in points))
    figure, panels = plt.subplots(1, len(clips), figsize=(5 * len(clips), 4.2), sharey=True, squeeze=False)
    for panel, clip in zip(panels[0], clips, strict=True):
        for number, method in enumerate(methods):
            here = sorted(
                (point["bits_per_second"] / 1000, point["vmaf"])
                for point in points
                if (point["clip"], point["method"]) == (clip, method)
            )
            our_own = method.startswith("cmvc")
            style = {"marker": "o", "linewidth": 1.8} if our_own else {"marker": "x", "linestyle": "", "alpha": 0.7}
            panel.plot(*zip(*here, strict=True), label=method, color=f"C{number}", **style) if here else None
        panel.set(title=clip, xlabel="kbit/s", xscale="log")
        panel.xaxis.set_major_locator(FixedLocator([1, 2, 4, 8, 16, 32, 64]))
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("VMAF")
    panels[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
