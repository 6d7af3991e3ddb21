"""What is made in the benchmark: videos from text at the size that a model was trained for."""

from dataclasses import dataclass, replace
from fractions import Fraction

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
    """

    frames: int
    width: int
    height: int
    frame_rate: Fraction
    settings: Settings
    few: Settings | None = None
    videos: int = 1
    share: int = 1


# LTX-Video's full schedule is that of its checkpoints which are not distilled.
FULL = {
    "wan-vace-1.3b": Work(81, 832, 480, Fraction(16), Settings(30, 5.0), Settings(4, 1.0, sampler=DMD), share=3),
    "ltx-video": Work(121, 768, 512, Fraction(24), Settings(40, 3.0), Settings(8, 1.0, "distilled")),
    "animatediff": Work(16, 512, 512, Fraction(8), Settings(25, 7.5), Settings(6, 1.5, "lcm")),
    "videocrafter2": Work(16, 512, 320, Fraction(8), Settings(50, 12.0)),
}
_TINY_FRAMES = {"wan-vace-1.3b": 5, "ltx-video": 9, "animatediff": 8, "videocrafter2": 16}


def work(profile_id: str, *, tiny: bool, steps: int | None) -> Work:
    """Return the work of a profile.

    Args:
        profile_id: registered name.
        tiny: 64x64 pixels and few frames, to try the code.
        steps: instead of the profile's own; few-step variants take no more than theirs.
    """
    found = FULL[profile_id]
    if steps:
        few = replace(found.few, steps=min(steps, found.few.steps)) if found.few else None
        found = replace(found, settings=replace(found.settings, steps=steps), few=few)
    return replace(found, frames=_TINY_FRAMES[profile_id], width=64, height=64) if tiny else found
