"""What it gives on a GPU that the VAE has a stage and a stream of its own.

The videos of a batch are made as segments of a server without batching are: one run of the model each. They are decoded
in turn with the runs, or each while the next is denoised, by what does so in a server. Steps are few, so that decoding
is a share of the work that can be seen.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.gpu.variants import FEWER, SAME, Variant, networks, windows
from benchmarks.gpu.work import Work
from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import DiffusionProfile, Window
from cmvc_decoder.speed.batching import Batcher
from cmvc_decoder.speed.compile import allow_variants
from cmvc_decoder.speed.streams import SideStream

STEPS = 4  # at most; whole runs are timed, because time does not grow evenly with steps where two things go on at once


@dataclass(frozen=True)
class _Wish:
    """A window of a segment that has no other."""

    window: Window
    goes_on: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        return self.window.shape


def beside(profile: DiffusionProfile, pipe: Any, work: Work, device: str) -> list[Variant]:
    """Return the two ways of making the same, one run of the model for each video.

    Args:
        profile: whose model it is.
        pipe: what its ``load`` gives.
        work: whose settings are used, those of few steps where there are any.
        device: of torch, where it runs.
    """
    settings = work.few or work.settings
    settings = replace(settings, steps=min(settings.steps, STEPS))
    kind = SAME if settings == work.settings else FEWER

    def in_turn(work: Work, steps: int) -> None:
        for window in windows(work):
            profile.run(pipe, [window], replace(settings, steps=steps), lambda *_: None)

    def overlapping(work: Work, steps: int) -> None:
        asked = replace(settings, steps=steps)
        side = SideStream(device)

        def denoise(wishes: Sequence[_Wish]) -> list[tuple[Any, Any]]:
            allow_variants()  # in this thread, too
            made = profile.denoise(pipe, [wish.window for wish in wishes], asked, lambda *_: None)
            mark = side.mark()
            return [(latents, mark) for latents in made]

        def decode(wish: _Wish, made: tuple[Any, Any]) -> Rgb:
            latents, mark = made
            with side.after(mark):
                return profile.decode(pipe, latents, wish.window, asked, lambda: None)

        batcher: Batcher[_Wish, tuple[Any, Any], Rgb] = Batcher(denoise, decode, 1)

        def make(window: Window) -> None:
            with batcher.member():
                batcher.make(_Wish(window), lambda: None)

        with ThreadPoolExecutor(work.videos) as pool:
            list(pool.map(make, windows(work)))

    models = networks(pipe)
    return [
        Variant("one video a run, decoded in turn", kind, in_turn, models, settings),
        Variant("one video a run, decoded beside the next run", kind, overlapping, models, settings),
    ]
