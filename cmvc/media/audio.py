"""Sound in: carried as it is, or encoded to Opus, as packets of constant duration on the video's clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from cmvc.errors import MediaError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.frames import AnyPacket
from cmvc.media.opus import OPUS_RATE, OpusStream, Samples
from cmvc.v1 import bitstream_pb2 as pb

_OPUS_MAGIC = b"OpusHead"
_STEREO_BITS_PER_SECOND = 24_000  # below, a second channel costs more than it gives
_TOLERANCE_SECONDS = Fraction(1, 100)  # sound further off than this is moved
_OUT_OF_STEP_SECONDS = Fraction(1, 50)  # sound further off than this is heard to be
_PREROLL_SECONDS = Fraction(2, 25)  # packets before the start from which a decoder settles; 80 ms for Opus
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_ADVICE = "have it encoded instead (opus:16k)"


@dataclass(frozen=True)
class AudioPacket:
    """One packet of sound.

    Attributes:
        index: its ordinal in the stream: it starts (index * packet_samples - skip_samples) / sample_rate seconds
            after the first frame.
        data: in the codec of the track.
    """

    index: int
    data: bytes


class AudioSource(Protocol):
    """Turns the packets of a container into the packets of the track.

    Attributes:
        track: how the packets are to be understood.
        damaged: how many packets of the container were left out.
    """

    track: pb.AudioTrack
    damaged: int

    def packets(self, packet: AnyPacket | None) -> Iterator[AudioPacket]:
        """Yield what the next packet of the container (None: there are no more) makes complete, in order.

        Silence before it is made as it is asked for, however long it is.
        """

    def silence(self, until: Fraction) -> Iterator[AudioPacket]:
        """Yield silence, so that all packets are there that start before ``until``, in seconds after the first frame.

        What comes for that time later is left out.
        """


def packet_start(track: pb.AudioTrack, index: int) -> Fraction:
    """Return when a packet starts, in seconds after the first frame."""
    return Fraction(index * track.packet_samples - track.skip_samples, track.sample_rate)


class OpusEncoder:
    """Decodes the source's sound and encodes it to Opus in packets of 60 ms; silence takes next to nothing.

    Args:
        stream: to decode.
        start: time of the first frame on the container's clock, in seconds.
        bits_per_second: that the sound takes at most; 5000..256000.

    Raises:
        InvalidSettingError: the bit rate is out of range.
    """

    def __init__(self, stream: AudioStream, start: Fraction, bits_per_second: int) -> None:
        self._stream, self._start = stream, start
        stereo = stream.channels > 1 and bits_per_second >= _STEREO_BITS_PER_SECOND
        self._layout = "stereo" if stereo else "mono"
        self._opus = OpusStream(self._layout, bits_per_second)
        self.track = pb.AudioTrack(
            codec=pb.AUDIO_CODEC_OPUS,
            sample_rate=OPUS_RATE,
            channels=self._opus.channels,
            packet_samples=self._opus.packet_samples,
            skip_samples=int.from_bytes(self._opus.head[10:12], "little"),  # pre-skip, RFC 7845
            extradata=self._opus.head.removeprefix(_OPUS_MAGIC),
        )
        self._resampler: AudioResampler | None = None
        self._source_format: tuple[object, ...] = ()
        self._placed = 0  # samples since the first frame
        self._waiting = np.zeros((0, self._opus.channels), np.float32)
        self._index = 0
        self.damaged = 0

    def packets(self, packet: AnyPacket | None) -> Iterator[AudioPacket]:
        """See ``AudioSource.packets``."""
        try:
            frames = self._stream.decode(packet)
        except (av.FFmpegError, ValueError):
            self.damaged += 1
            return
        for frame in frames:
            try:
                samples, gap = self._resampled(frame), self._gap(frame)
            except (av.FFmpegError, ValueError):
                self.damaged += 1
                continue
            yield from self._silent(gap)
            yield from self._encode(samples[max(-gap, 0) :])
        if packet is None:
            yield from self._finish()

    def silence(self, until: Fraction) -> Iterator[AudioPacket]:
        """See ``AudioSource.silence``."""
        yield from self._silent(round(until * OPUS_RATE) + self.track.packet_samples - self._done())

    def _silent(self, samples: int) -> Iterator[AudioPacket]:
        for start in range(0, samples, OPUS_RATE):
            yield from self._encode(np.zeros((min(samples - start, OPUS_RATE), self._opus.channels), np.float32))

    def _done(self) -> int:
        """Return how many samples there are since the first frame."""
        return self._placed + len(self._waiting)

    def _gap(self, frame: AudioFrame) -> int:
        """Return how many samples are missing before the frame; negative when that many are too many."""
        if frame.pts is None or frame.time_base is None:
            return 0
        done = self._done()
        gap = round((frame.pts * frame.time_base - self._start) * OPUS_RATE) - done
        return 0 if abs(gap) <= _TOLERANCE_SECONDS * OPUS_RATE and done else gap

    def _resampled(self, frame: AudioFrame) -> Samples:
        source_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or source_format != self._source_format:
            self._resampler = AudioResampler(format="flt", layout=self._layout, rate=OPUS_RATE)
            self._source_format = source_format
        frame_pts, frame.pts = frame.pts, None  # the resampler has no business with the clock
        parts = [_interleaved(part) for part in self._resampler.resample(frame)]
        frame.pts = frame_pts
        return np.concatenate(parts) if parts else np.zeros((0, self._opus.channels), np.float32)

    def _encode(self, samples: Samples) -> Iterator[AudioPacket]:
        waiting = np.concatenate([self._waiting, samples])
        size = self.track.packet_samples
        whole = len(waiting) - len(waiting) % size
        self._waiting = waiting[whole:]
        for start in range(0, whole, size):
            yield from self._encode_one(waiting[start : start + size])

    def _finish(self) -> Iterator[AudioPacket]:
        if len(self._waiting):
            missing = self.track.packet_samples - len(self._waiting)
            yield from self._encode_one(np.pad(self._waiting, ((0, missing), (0, 0))))
            self._waiting = self._waiting[:0]
        yield from self._numbered(self._opus.finish())

    def _encode_one(self, samples: Samples) -> Iterator[AudioPacket]:
        self._placed += len(samples)
        yield from self._numbered(self._opus.encode(samples))

    def _numbered(self, packets: list[bytes]) -> Iterator[AudioPacket]:
        for packet in packets:
            yield AudioPacket(self._index, packet)
            self._index += 1


def _interleaved(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.float32).reshape(frame.samples, -1)


class PacketCopy:
    """Carries the source's packets as they are; gaps are filled with silence in the same codec.

    Args:
        stream: to copy.
        start: time of the first frame on the container's clock, in seconds.
        first: the first packet of the stream; still to be given to ``packets``.

    Raises:
        MediaError: the codec or its packets cannot be carried.
    """

    def __init__(self, stream: AudioStream, start: Fraction, first: AnyPacket) -> None:
        self._start = start
        self._adts = False
        self.track = self._describe(stream, first)
        self._index = 0
        self._silence = b""
        self.damaged = 0
        rate, size = self.track.sample_rate, self.track.packet_samples
        time = self._time(first)
        lead = self._exact(-round(time * rate))  # samples before the first frame
        most = size + int(_PREROLL_SECONDS * rate)
        if lead > most:  # whole packets are left out, so that about the preroll remains
            lead -= (lead - most) // size * size
        self.track.skip_samples = lead % size if lead < 0 else lead

    def _exact(self, lead: int) -> int:
        """Return ``lead`` freed of a container's rounding to milliseconds where the codec's own delay is meant."""
        head = self.track.extradata
        delay = int.from_bytes(head[2:4], "little") if self.track.codec == pb.AUDIO_CODEC_OPUS else 0
        return delay if abs(lead - delay) <= self.track.sample_rate // 1000 else lead

    def packets(self, packet: AnyPacket | None) -> Iterator[AudioPacket]:
        """See ``AudioSource.packets``.

        Raises:
            MediaError: the packet lasts longer or shorter than the others, or stands where it would be out of step.
        """
        if packet is None or not packet.size:
            return
        data = self._payload(packet)
        gap = self._gap(packet)
        if gap < 0:
            return
        for _ in range(gap):
            yield self._number(self._silent_packet())
        yield self._number(data)

    def silence(self, until: Fraction) -> Iterator[AudioPacket]:
        """See ``AudioSource.silence``.

        Raises:
            MediaError: there is no silence in this codec and layout.
        """
        while packet_start(self.track, self._index) < until:
            yield self._number(self._silent_packet())

    def _number(self, data: bytes) -> AudioPacket:
        self._index += 1
        return AudioPacket(self._index - 1, data)

    def _time(self, packet: AnyPacket) -> Fraction:
        pts = packet.pts if packet.pts is not None else packet.dts
        return Fraction(0) if pts is None else pts * packet.time_base - self._start

    def _gap(self, packet: AnyPacket) -> int:
        """Return how many packets are missing before this one; negative when it comes too early to be used."""
        if packet.pts is None and packet.dts is None:
            return 0
        late = (self._time(packet) - packet_start(self.track, self._index)) * self.track.sample_rate
        gap = round(late / self.track.packet_samples)
        off = abs(late - gap * self.track.packet_samples)
        if gap > 0 and off > _OUT_OF_STEP_SECONDS * self.track.sample_rate:
            raise MediaError(
                f"the sound has a gap that packets of {self.track.packet_samples / self.track.sample_rate * 1000:g} ms "
                f"cannot fill without getting out of step; {_ADVICE}"
            )
        return gap

    def _describe(self, stream: AudioStream, first: AnyPacket) -> pb.AudioTrack:
        context = stream.codec_context
        describe = {"opus": self._describe_opus, "aac": self._describe_aac, "mp3": self._describe_mp3}
        name = context.codec.canonical_name
        if name not in describe:
            raise MediaError(f"the sound is {name}, which cannot be carried; {_ADVICE}")
        track = describe[name](context, first)
        if len(track.extradata) > DEFAULT_LIMITS.audio_config_bytes:
            raise MediaError(f"the sound's description has {len(track.extradata)} bytes, too many to carry; {_ADVICE}")
        return track

    def _describe_opus(self, context: AudioCodecContext, first: AnyPacket) -> pb.AudioTrack:
        head = context.extradata or b""
        if len(head) < 19 or head[18]:  # 18: channel mapping family
            raise MediaError(f"the sound is Opus without a plain mono or stereo header; {_ADVICE}")
        return pb.AudioTrack(
            codec=pb.AUDIO_CODEC_OPUS,
            sample_rate=OPUS_RATE,
            channels=head[9],
            packet_samples=opus_packet_samples(bytes(first)),
            extradata=head.removeprefix(_OPUS_MAGIC),
        )

    def _describe_aac(self, context: AudioCodecContext, first: AnyPacket) -> pb.AudioTrack:
        config = context.extradata or b""
        if not config:
            self._adts = True
            config = adts_config(bytes(first))
        if config[0] >> 3 != 2:  # audio object type: LC
            raise MediaError(f"the sound is AAC of another kind than LC; {_ADVICE}")
        rate, channels, size = _format_of(context, first)
        return pb.AudioTrack(
            codec=pb.AUDIO_CODEC_AAC, sample_rate=rate, channels=channels, packet_samples=size or 1024, extradata=config
        )

    def _describe_mp3(self, context: AudioCodecContext, first: AnyPacket) -> pb.AudioTrack:
        rate, channels, size = _format_of(context, first)
        return pb.AudioTrack(
            codec=pb.AUDIO_CODEC_MP3,
            sample_rate=rate,
            channels=channels,
            packet_samples=size or (1152 if rate >= 32_000 else 576),
        )

    def _payload(self, packet: AnyPacket) -> bytes:
        data = bytes(packet)
        if self.track.codec == pb.AUDIO_CODEC_OPUS and opus_packet_samples(data) != self.track.packet_samples:
            raise MediaError(f"the sound's Opus packets differ in duration; {_ADVICE}")
        if self._adts:
            head = 9 if len(data) > 1 and not data[1] & 1 else 7  # with a checksum it is two bytes longer
            if len(data) <= head:
                raise MediaError(f"a packet of the sound ends within its header (ADTS); {_ADVICE}")
            data = data[head:]
        return data

    def _silent_packet(self) -> bytes:
        if not self._silence:
            self._silence = _silent_packet(self.track)
        return self._silence


def _format_of(context: AudioCodecContext, first: AnyPacket) -> tuple[int, int, int]:
    """Return sample rate, channels and samples of a packet (0 where unknown); from sound that starts late, by itself.

    Raises:
        MediaError: its first packet does not decode.
    """
    if context.sample_rate:
        return context.sample_rate, context.channels, context.frame_size
    decoder = av.CodecContext.create(context.name, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = context.extradata
    try:
        frame = next(iter([*decoder.decode(first), *decoder.decode(None)]), None)
    except (av.FFmpegError, ValueError):
        frame = None
    if frame is None:
        raise MediaError(f"the sound starts with a damaged packet; {_ADVICE}")
    return frame.sample_rate, frame.layout.nb_channels, frame.samples


def opus_packet_samples(packet: bytes) -> int:
    """Return the duration of an Opus packet in samples of 48 kHz, from its first bytes (RFC 6716, section 3.1).

    Raises:
        MediaError: the packet is empty or malformed.
    """
    if not packet:
        raise MediaError("the sound has an empty Opus packet; " + _ADVICE)
    config, code = packet[0] >> 3, packet[0] & 3
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]
    if not frames:
        raise MediaError("the sound has a malformed Opus packet; " + _ADVICE)
    if config < 12:  # SILK: 10, 20, 40, 60 ms
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:  # hybrid: 10, 20 ms
        frame = (480, 960)[config & 1]
    else:  # CELT: 2.5, 5, 10, 20 ms
        frame = (120, 240, 480, 960)[config & 3]
    return frames * frame


def adts_config(packet: bytes) -> bytes:
    """Return the AudioSpecificConfig that the ADTS header of an AAC packet stands for.

    Raises:
        MediaError: there is no ADTS header.
    """
    if len(packet) < 7 or packet[0] != 0xFF or packet[1] & 0xF6 != 0xF0:
        raise MediaError("the sound is AAC without a description; " + _ADVICE)
    object_type = (packet[2] >> 6) + 1
    frequency = packet[2] >> 2 & 15
    channels = (packet[2] & 1) << 2 | packet[3] >> 6
    return bytes([object_type << 3 | frequency >> 1, (frequency & 1) << 7 | channels << 3])


def _silent_packet(track: pb.AudioTrack) -> bytes:
    """Return a packet of silence that fits between the packets of ``track``."""
    names = {pb.AUDIO_CODEC_OPUS: "libopus", pb.AUDIO_CODEC_AAC: "aac", pb.AUDIO_CODEC_MP3: "libmp3lame"}
    encoder = av.CodecContext.create(names[track.codec], "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate = track.sample_rate
    encoder.layout = LAYOUTS[track.channels]
    encoder.format = "flt" if track.codec == pb.AUDIO_CODEC_OPUS else "fltp"
    encoder.time_base = Fraction(1, track.sample_rate)
    if track.codec == pb.AUDIO_CODEC_OPUS:
        encoder.options = {"frame_duration": f"{track.packet_samples / 48:g}"}
    try:
        encoder.open()
    except (av.FFmpegError, ValueError):  # not in this layout
        samples = 0
    else:
        samples = encoder.frame_size
    if samples != track.packet_samples:
        raise MediaError(f"the sound has gaps that cannot be filled; {_ADVICE}")
    shape = (track.channels, samples) if encoder.format.is_planar else (1, samples * track.channels)
    packets: list[AnyPacket] = []
    for number in range(4):  # enough for the encoder to get over its delay
        frame = AudioFrame.from_ndarray(np.zeros(shape, np.float32), encoder.format.name, encoder.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = track.sample_rate, number * samples, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return bytes(packets[-1])
