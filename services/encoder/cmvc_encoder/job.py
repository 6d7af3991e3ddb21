"""What an encoder was asked to do, checked."""

from dataclasses import dataclass

from cmvc.bitstream.modes import MODE_NAMES, Mode, check_served
from cmvc.bounds import check_bounds
from cmvc.errors import InvalidSettingError
from cmvc.profiles.continuity import fitted
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.profiles.registry import PROFILES, profile_of
from cmvc.restoration.settings import check_runnable, is_runnable
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc_encoder.profile_table import EMBEDDED, profile_table, restorer_of
from cmvc_encoder.sound import SoundPlan, plan_sound

DEFAULT_BITS_PER_SECOND = 12_000


@dataclass(frozen=True)
class Job:
    """Checked settings of one stream.

    Attributes:
        mode: of every segment; unspecified to choose per segment.
        bits_per_second: to stay under; None when working to a quality.
        quality: 1..100; None when working to a bit rate.
        semantics: name of the semantic extractor.
        sound: what to do with the sound.
        metadata: whether title, chapters and language are carried.
        latency_s: longest time from a frame read to its bytes written; None for no bound.
        seed: of the stream.
        profiles: the table that says which generator the stream is made for.
        restorer: that decoders have for the stream's VT2V; "" where they only scale.
        effort: how much work goes into finding and making a coding.
        strict: whether a failing semantic extractor ends the stream.
        start: seconds of the video that are left out before what is encoded.
        duration: seconds that are encoded; 0 for all that follow.
    """

    mode: Mode.ValueType
    bits_per_second: int | None
    quality: int | None
    semantics: str
    sound: SoundPlan
    metadata: bool
    latency_s: float | None
    seed: int
    profiles: pb.ProfileTable
    restorer: str
    effort: encoder_pb2.Effort.ValueType
    strict: bool
    start: float = 0.0
    duration: float = 0.0

    @property
    def generator(self) -> Profile:
        """What is known of the profile that the stream is made for; embedded's facts for one that is not known here."""
        return fitted(self.profiles.profiles[0])

    @property
    def takes_turns(self) -> bool:
        """Whether windows are coded one after the other: what a model says, or is told, depends on those before."""
        return self.semantics != EMBEDDED.id or isinstance(self.generator, ModelProfile)

    @property
    def captions(self) -> bool:
        """Whether pictures are accompanied by captions: nobody reads them where neither end named a model that does."""
        made_for = [profile.id for profile in self.profiles.profiles if profile.id != EMBEDDED.id]
        return self.semantics != EMBEDDED.id or any(profile_of(each).reads_text for each in made_for)


def read_job(config: encoder_pb2.EncodeConfig) -> Job:
    """Return the settings that ``config`` asks for, defaults filled in.

    Raises:
        InvalidSettingError: a value is out of range, or two do not fit each other.
        UnknownProfileError: there is no such profile, or it does not decode the mode.
    """
    if config.mode != common_pb2.MODE_UNSPECIFIED and config.mode not in MODE_NAMES:
        known = ", ".join(MODE_NAMES.values())
        raise InvalidSettingError(f"mode {config.mode} is not known; use one of {known}", field="config.mode")
    check_bounds(config)
    by_quality = config.WhichOneof("target") == "quality"
    rate = None if by_quality else config.bits_per_second or DEFAULT_BITS_PER_SECOND
    return Job(
        mode=config.mode,
        bits_per_second=rate,
        quality=config.quality if by_quality else None,
        semantics=config.semantics or "embedded",
        sound=plan_sound(config, rate),
        metadata=config.metadata,
        latency_s=config.latency_ms / 1000 if config.latency_ms else None,
        seed=config.seed,
        profiles=_profiles(config),
        restorer=_restorer(config),
        effort=_effort(config.effort),
        strict=config.strict,
        start=config.start,
        duration=config.duration,
    )


def _profiles(config: encoder_pb2.EncodeConfig) -> pb.ProfileTable:
    """Return the table of the stream, once it is known that its segments can be decoded."""
    table = profile_table(config.profile)
    served = {each.id: each.modes for each in PROFILES.values()}
    check_served(served, table.profiles[0].id, config.mode, "config.profile.id")
    return table


def _restorer(config: encoder_pb2.EncodeConfig) -> str:
    """Return the restorer of the stream's VT2V; a choice of modes does without where it cannot run here."""
    name = restorer_of(config.profile)
    if config.mode == common_pb2.MODE_UNSPECIFIED:
        return name if is_runnable() else ""
    if config.mode != common_pb2.MODE_VT2V or not name:
        return ""
    check_runnable()
    return name


def _effort(effort: encoder_pb2.Effort.ValueType) -> encoder_pb2.Effort.ValueType:
    known = (encoder_pb2.EFFORT_FAST, encoder_pb2.EFFORT_DEFAULT, encoder_pb2.EFFORT_BEST)
    if effort and effort not in known:
        raise InvalidSettingError(f"effort {effort} is not known; use fast, default or best", field="config.effort")
    return effort or encoder_pb2.EFFORT_DEFAULT
