"""How much a model has to make for a segment, as pixels times denoising steps, from what the stream says of it alone.

Time follows it about, whatever the model; attention over more pixels and guidance come on top. What a profile makes
without a model (the embedded one, CODED segments) is bounded by its frames and pixels.
"""

from fractions import Fraction
from math import ceil

from cmvc.bitstream.modes import mode_of
from cmvc.profiles.continuity import hands_on
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2


def pixel_steps(header: pb.StreamHeader, profile: pb.Profile, segment: pb.Segment, frames: int) -> int:
    """Return pixels times denoising steps of all windows that a model makes for a segment; 0 where none is known to.

    Args:
        header: of the stream.
        profile: that the segment is made with. Settings that are no numbers count as left out; its decoder refuses
            them.
        segment: which segment.
        frames: of it.
    """
    facts = MODEL_PROFILES.get(profile.id)
    if facts is None or mode_of(segment) in (common_pb2.MODE_CODED, common_pb2.MODE_UNSPECIFIED):
        return 0
    made = _native_frames(facts, header, profile, segment, frames)
    own = facts.grid.pixels if facts.grid.upscales else min(facts.grid.pixels, header.width * header.height)
    usual = facts.sampler_steps.get(profile.settings.get("sampler", ""), facts.steps)
    return made * (_number(profile, "pixels") or own) * (_number(profile, "steps") or usual)


def _native_frames(
    facts: ModelProfile, header: pb.StreamHeader, profile: pb.Profile, segment: pb.Segment, frames: int
) -> int:
    """Return the frames of all windows, as ``cmvc_decoder.diffusion.grid.plan`` has them.

    It makes one window more where an anchor is snapped forward and one frame is missing then.
    """
    rate = Fraction(header.frame_rate_numerator, header.frame_rate_denominator or 1)
    stride = facts.grid.stride(rate)
    last = frames if mode_of(segment) == common_pb2.MODE_IT2V else frames - 1
    wanted = ceil(last / stride) + 1
    if hands_on(profile, segment):
        wanted = max(wanted, max(round(Fraction(frames, stride)), 1) + facts.grid.overlap)
    starts, size = facts.grid.windows(wanted)
    return len(starts) * size


def _number(profile: pb.Profile, name: str) -> int:
    try:
        return max(int(profile.settings.get(name, "")), 0)
    except ValueError:
        return 0
