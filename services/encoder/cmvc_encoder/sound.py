"""How much of a stream the sound may take, and at which rate it is kept when nobody says.

docs/adr/0025-sound-is-kept.md tells why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from cmvc.bitstream.audio import pack_audio
from cmvc.errors import InvalidSettingError
from cmvc.media.audio import AudioPacket
from cmvc.notes import Note
from cmvc.v1 import encoder_pb2

SHARE = Fraction(1, 2)  # of the bit rate that the sound takes at most
AIM = Fraction(1, 3)  # of it that kept sound takes, where some Opus rate is as low
OPUS_RATES = (5_500, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000, 48_000, 64_000)  # below, speech is hard to follow
_SEGMENT_OVERHEAD = 8  # bytes of framing for the audio of a segment, at most


@dataclass(frozen=True)
class SoundPlan:
    """What to do with the sound.

    Attributes:
        treatment: ``copy`` or an Opus rate; None drops it.
        dropped: the note for a source that has sound, where it is dropped although nobody asked for that; else empty.
    """

    treatment: encoder_pb2.AudioConfig | None
    dropped: str = ""


def plan_sound(config: encoder_pb2.EncodeConfig, rate: int | None) -> SoundPlan:
    """Return what to do with the sound of a stream.

    Args:
        config: how to encode.
        rate: of the whole stream in bit/s; None when working to a quality.

    Raises:
        InvalidSettingError: the sound was asked for at a rate that would take more than its share.
    """
    audio = config.audio
    treatment = audio.WhichOneof("treatment") if config.HasField("audio") else "keep"
    if treatment == "keep" and (audio.keep or not config.HasField("audio")):
        return _kept(audio.track, rate, config.quality)
    if treatment == "opus_bits_per_second":
        _check_opus(audio.opus_bits_per_second, rate)
        return SoundPlan(audio)
    return SoundPlan(audio if audio.copy else None)


class CopiedShare:
    """Sees to it that sound which is carried as it is leaves the picture its share."""

    def __init__(self, rate: int, sound_rate: float | None) -> None:
        """Check the rate of the whole sound where that is known; else it is checked as it comes.

        Args:
            rate: of the whole stream in bit/s.
            sound_rate: of the sound in bit/s; None where it is not known.

        Raises:
            InvalidSettingError: it is more than its share.
        """
        self._rate, self._known = rate, sound_rate is not None
        self._bytes = 0
        if sound_rate is not None:
            self._check(sound_rate)

    def add(self, packets: Sequence[AudioPacket], seconds: float) -> None:
        """Take note of the sound of one more window, with which ``seconds`` of the video are done.

        Raises:
            InvalidSettingError: the sound so far is more than its share.
        """
        self._bytes += sum(len(packet.data) for packet in packets)
        if not self._known:
            self._check(8 * self._bytes / seconds)

    def _check(self, sound_rate: float) -> None:
        if sound_rate > self._rate * SHARE:
            raise InvalidSettingError(
                f"the sound as it is takes {round(sound_rate)} bit/s, more than half of the {self._rate} bit/s asked "
                f"for, which is all it may take; leave out --audio to have it encoded, or ask for "
                f"{_enough_for(sound_rate)} bit/s or more",
                field="config.audio.copy",
            )


def audio_size(packets: Sequence[AudioPacket], segments: int) -> int:
    """Return the bytes that audio packets take in a window of ``segments`` segments, at most."""
    if not packets:
        return 0
    return pack_audio([packet.data for packet in packets]).ByteSize() + _SEGMENT_OVERHEAD * segments


def _kept(track: str, rate: int | None, quality: int) -> SoundPlan:
    if rate is None:
        chosen = OPUS_RATES[min(quality * len(OPUS_RATES) // 100, len(OPUS_RATES) - 1)]
    else:
        chosen = max((opus for opus in OPUS_RATES if opus <= rate * AIM), default=OPUS_RATES[0])
        if chosen > rate * SHARE:
            return SoundPlan(
                None,
                Note.SOUND_LEFT_OUT.line(
                    f"at {chosen} bit/s, the least for speech, it would take more than half of the {rate} bit/s asked "
                    f"for; {_enough_for(chosen)} bit/s keep it"
                ),
            )
    return SoundPlan(encoder_pb2.AudioConfig(opus_bits_per_second=chosen, track=track))


def _check_opus(opus: int, rate: int | None) -> None:
    if rate is not None and opus > rate * SHARE:
        raise InvalidSettingError(
            f"Opus at {opus} bit/s is more than half of the {rate} bit/s asked for, which is all that the sound may "
            f"take; ask for {int(rate * SHARE)} or less, or for {_enough_for(opus)} bit/s in all",
            field="config.audio.opus_bits_per_second",
        )


def _enough_for(sound_rate: float) -> int:
    """Return the bit rate of a stream of which sound of ``sound_rate`` takes no more than its share."""
    return -int(-sound_rate // SHARE)
