"""What is made in the benchmark: videos from text, or restored, at the size that a model was trained for."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.samplers import DMD
from cmvc_decoder.diffusion.settings import Settings

PROMPT = "a lighthouse on a cliff at dusk, waves breaking below, the camera circles slowly"


@dataclass(frozen=True)
class Work:
    """A batch of videos.

    Attributes:
        frames: of each.
        width, height: in pixels.
        frame_rate: that they are shown at, in frames per second.
        settings: steps and guidance, the same for stock and served unless a feature says otherwise.
        few: settings of the few-step variant; None where the profile has none.
        videos: in the batch.
        share: of the time that all profiles have.
        restored: whether they are made from videos of that size and length instead of text.
        other_sizes: width and height of more work, else alike, that is measured after it.
    """

    frames: int
    width: int
    height: int
    frame_rate: Fraction
    settings: Settings
    few: Settings | None = None
    videos: int = 1
    share: int = 1
    restored: bool = False
    other_sizes: tuple[tuple[int, int], ...] = ()

    def guide(self) -> Rgb | None:
        """Return a video to restore, (frames, height, width, 3) RGB, 0..255; None where there is none."""
        if not self.restored:
            return None
        size = self.frames, self.height, self.width, 3
        return np.random.default_rng(0).integers(0, 255, size, np.uint8, endpoint=True)


# LTX-Video's full schedule is that of its checkpoints which are not distilled.
FULL = {
    "wan-vace-1.3b": Work(81, 832, 480, Fraction(16), Settings(30, 5.0), Settings(4, 1.0, sampler=DMD), share=3),
    "ltx-video": Work(121, 768, 512, Fraction(24), Settings(40, 3.0), Settings(8, 1.0, "distilled")),
    "animatediff": Work(16, 512, 512, Fraction(8), Settings(25, 7.5), Settings(6, 1.5, "lcm")),
    "videocrafter2": Work(16, 512, 320, Fraction(8), Settings(50, 12.0)),
    "swiftvr": Work(
        121, 1280, 704, Fraction(24), Settings(1, 1.0), restored=True, other_sizes=((864, 480),)
    ),  # what sources of 1280x720 and 854x480 are made at
}
_TINY_FRAMES = {"wan-vace-1.3b": 5, "ltx-video": 9, "animatediff": 8, "videocrafter2": 16, "swiftvr": 9}


def work(profile_id: str, *, tiny: bool, steps: int | None) -> Work:
    """Return the work of a profile.

    Args:
        profile_id: registered name.
        tiny: 64x64 pixels and few frames, to try the code.
        steps: instead of the profile's own, where those can be chosen; few-step variants take no more than theirs.
    """
    found = FULL[profile_id]
    if steps and found.settings.steps > 1:
        few = replace(found.few, steps=min(steps, found.few.steps)) if found.few else None
        found = replace(found, settings=replace(found.settings, steps=steps), few=few)
    if not tiny:
        return found
    others = tuple((96, 64) for _ in found.other_sizes)
    return replace(found, frames=_TINY_FRAMES[profile_id], width=64, height=64, other_sizes=others)
