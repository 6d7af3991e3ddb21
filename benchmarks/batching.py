"""``python -m benchmarks.batching``: what it gives that segments share runs of a model, and what the first one waits.

Segments of several streams are asked for at once, as decoders or the calls of one do, of a ``DiffusionGenerator`` over
the toy checkpoint. On top of what the toy computes each denoising step takes a fixed time, whatever the batch, and so
does the VAE for each window, as on a GPU that neither fills. Each batch is made twice: with the VAE in the model's own
hold, as if it were a last step of every run, and as it is, a stage of its own. So the table says what batching and that
stage can give at most, and whether the code around the model gets in their way; what a GPU gives says ``python -m
benchmarks.gpu``.
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import diffusers
import torch

from benchmarks.report import RESULTS, markdown, save
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.profile import Check, StepCallback, Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.options import IN_WORK, SpeedOptions

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
    """The profile, each of whose steps takes ``step_s`` more and whose VAE ``vae_s`` for each window.

    Attributes:
        step_s: in seconds.
        vae_s: likewise.
        runs: the sizes of its batches.
    """

    step_s: float
    vae_s: float
    runs: list[int]

    def denoise(
        self,
        pipe: Any,  # noqa: ANN401 - whatever the profile has loaded
        windows: Sequence[Window],
        settings: Settings,
        step: StepCallback,
    ) -> Sequence[Any]:
        """Return the latents of each window; see ``DiffusionProfile``."""
        self.runs.append(len(windows))

        def slow(done: int, total: int) -> None:
            time.sleep(self.step_s)
            step(done, total)

        return super().denoise(pipe, windows, settings, slow)

    def decode(
        self,
        pipe: Any,  # noqa: ANN401
        latents: Any,  # noqa: ANN401
        window: Window,
        settings: Settings,
        check: Check,
    ) -> Rgb:
        """Return the frames of a window; see ``DiffusionProfile``."""
        time.sleep(self.vae_s)
        return super().decode(pipe, latents, window, settings, check)


class OneHold(Costly):
    """The same, decoding while it holds the model."""

    def denoise(
        self,
        pipe: Any,  # noqa: ANN401
        windows: Sequence[Window],
        settings: Settings,
        step: StepCallback,
    ) -> Sequence[Rgb]:
        """Return the frames of each window."""
        made = super().denoise(pipe, windows, settings, step)
        return [
            super(OneHold, self).decode(pipe, latents, window, settings, lambda: None)
            for latents, window in zip(made, windows, strict=True)
        ]

    def decode(
        self,
        pipe: Any,  # noqa: ANN401, ARG002
        latents: Rgb,
        window: Window,  # noqa: ARG002
        settings: Settings,  # noqa: ARG002
        check: Check,  # noqa: ARG002
    ) -> Rgb:
        """Return what they are already."""
        return latents


KINDS = {"in the model's hold": OneHold, "a stage of its own": Costly}


def measure(kind: str, batch: int, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return a row: all segments at once, at most ``batch`` in a run, as many in work as keep its stages busy."""
    profile = KINDS[kind](options.step, options.vae, [])
    generator = DiffusionGenerator(profile, folder, SpeedOptions(batch=batch))
    generator.load()
    began = time.monotonic()

    def decode(number: int) -> float:
        items = generator.generate(replace(SEGMENT, seed=number, scene_seed=number), Control())
        assert sum(isinstance(item, Picture) for item in items) == FRAMES
        return time.monotonic() - began

    with ThreadPoolExecutor(IN_WORK * batch) as callers:
        ends = sorted(callers.map(decode, range(options.segments)))
    return {
        "VAE": kind,
        "batch": batch,
        "segments": options.segments,
        "seconds": round(ends[-1], 2),
        "segments_per_second": round(options.segments / ends[-1], 3),
        "first_segment_s": round(ends[0], 2),
        "mean_run": round(sum(profile.runs) / len(profile.runs), 2),
        "runs": len(profile.runs),
        "median_end_s": round(median(ends), 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__)
    parser.add_argument("--segments", type=int, default=24)
    parser.add_argument("--step", type=float, default=0.25, help="seconds that a step takes on top of the toy's")
    parser.add_argument("--vae", type=float, default=0.25, help="seconds that the VAE takes for a window, likewise")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="cmvc-batching-") as scratch:
        (Path(scratch) / "pipeline").symlink_to(TOY)
        rows = [measure(kind, batch, options, Path(scratch)) for batch in options.batch for kind in KINDS]
    for row in rows:
        row["times_first"] = round(
            float(str(row["segments_per_second"])) / float(str(rows[0]["segments_per_second"])), 2
        )
    command = shlex.join(["python", "-m", "benchmarks.batching", *(sys.argv[1:] if arguments is None else arguments)])
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    about = (
        f"`{command}`, torch {versions['torch']}, diffusers {versions['diffusers']}\n\n"
        f"{options.segments} segments of one window and 4 steps each, all asked for at once; a step takes "
        f"{options.step} s on top of what the toy checkpoint computes, whatever the batch, and the VAE {options.vae} s "
        f"for each window. {IN_WORK} times the batch are worked on at once.\n\n"
    )
    table = markdown(list(rows[0]), [list(row.values()) for row in rows])
    found = {"command": command, "versions": versions, "step_seconds": options.step, "vae_seconds": options.vae}
    save("batching", about + table, {**found, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
