"""Whether TT2V segments go on from frames that those before them have made: the setting ``continuity``.

A segment that goes on in the next then makes ``NativeGrid.overlap`` frames past its end. They are handed on, given to
the model when it makes the next segment, and that one fades over them into its own: as windows of one segment do.
"""

from dataclasses import replace

from cmvc.bitstream.modes import mode_of
from cmvc.bitstream.segments import closes_shot
from cmvc.profiles import embedded
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.profiles.registry import MODEL_PROFILES, PROFILES
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2

SETTING = "continuity"
OFF, TAIL = "off", "tail"


def continues(profile: pb.Profile) -> bool:
    """Return whether TT2V segments made with ``profile`` go on from those before them."""
    facts = MODEL_PROFILES.get(profile.id)
    return facts is not None and facts.takes_frames and profile.settings.get(SETTING, OFF) == TAIL


def fitted(profile: pb.Profile) -> Profile:
    """Return what is known of ``profile`` as its settings want it; embedded's facts for one that is not known here."""
    facts = PROFILES.get(profile.id, embedded.PROFILE)
    return replace(facts, continues=True) if isinstance(facts, ModelProfile) and continues(profile) else facts


def hands_on(profile: pb.Profile, segment: pb.Segment) -> bool:
    """Return whether the segment after ``segment`` is made from frames that come out of this one."""
    return continues(profile) and mode_of(segment) == common_pb2.MODE_TT2V and not closes_shot(segment)
