"""``python -m benchmarks.batching``: what it gives that segments share runs of a model, and what the first one waits.

Segments of several streams are asked for at once, as decoders or the calls of one do, of a ``DiffusionGenerator`` over
the toy checkpoint. On top of what the toy computes each denoising step takes a fixed time, whatever the batch, as on a
GPU that one video does not fill. So the table says what batching can give at most, and whether the code around the
model gets in its way; what a GPU gives says ``python -m benchmarks.gpu``.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.report import RESULTS, markdown, save
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.profile import StepCallback, Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.options import SpeedOptions

TOY = Path(__file__).parents[1] / "tests" / "toy_vace" / "weights"
BATCHES = (1, 2, 4, 8)
FRAMES = 13  # one window of the toy
SEGMENT = Conditions(
    common_pb2.MODE_TT2V,
    64,
    64,
    FRAMES,
    Fraction(16),
    0,
    text="Black wall background, large red ball.",
    settings={"steps": "4", "guidance": "1", "pixels": "4096"},
)


@dataclass
class Costly(WanVace):
    """The profile, each of whose steps takes ``seconds`` more; ``runs`` are the sizes of its batches."""

    seconds: float
    runs: list[int]

    def run(
        self,
        pipe: Any,  # noqa: ANN401 - whatever the profile has loaded
        windows: Sequence[Window],
        settings: Settings,
        step: StepCallback,
    ) -> list[Rgb]:
        """Return the frames of each window; see ``DiffusionProfile``."""
        self.runs.append(len(windows))

        def slow(done: int, total: int) -> None:
            time.sleep(self.seconds)
            step(done, total)

        return super().run(pipe, windows, settings, slow)


def measure(batch: int, segments: int, seconds: float, folder: Path) -> dict[str, object]:
    """Return a row: all segments at once, at most ``batch`` in a run, as many again being prepared or restored."""
    profile = Costly(seconds, [])
    generator = DiffusionGenerator(profile, folder, SpeedOptions(batch=batch))
    generator.load()
    began = time.monotonic()

    def decode(number: int) -> float:
        items = generator.generate(replace(SEGMENT, seed=number, scene_seed=number), Control())
        assert sum(isinstance(item, Picture) for item in items) == FRAMES
        return time.monotonic() - began

    with ThreadPoolExecutor(2 * batch) as callers:
        ends = sorted(callers.map(decode, range(segments)))
    return {
        "batch": batch,
        "segments": segments,
        "seconds": round(ends[-1], 2),
        "segments_per_second": round(segments / ends[-1], 2),
        "first_segment_s": round(ends[0], 2),
        "mean_run": round(sum(profile.runs) / len(profile.runs), 2),
        "runs": len(profile.runs),
        "median_end_s": round(median(ends), 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__)
    parser.add_argument("--segments", type=int, default=16)
    parser.add_argument("--step", type=float, default=0.25, help="seconds that a step takes on top of the toy's")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="cmvc-batching-") as scratch:
        (Path(scratch) / "pipeline").symlink_to(TOY)
        measured = partial(measure, segments=options.segments, seconds=options.step, folder=Path(scratch))
        rows = [measured(batch) for batch in options.batch]
    for row in rows:
        row["times_first"] = round(
            float(str(row["segments_per_second"])) / float(str(rows[0]["segments_per_second"])), 2
        )
    about = (
        f"{options.segments} segments of one window and 4 steps each, all asked for at once; a step takes "
        f"{options.step} s on top of what the toy checkpoint computes, whatever the batch. Twice the batch are worked "
        "on at once.\n\n"
    )
    table = markdown(list(rows[0]), [list(row.values()) for row in rows])
    save("batching", about + table, {"step_seconds": options.step, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
