"""What came back of a clip: which pictures when, which beeps when."""

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from media_files import OneWay, read_all
from numbered import BEEP_SECONDS, number_of

from cmvc.media.audio import AudioPacket
from cmvc.media.frames import from_frame
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2

OPUS = encoder_pb2.AudioConfig(opus_bits_per_second=16_000)
COPY = encoder_pb2.AudioConfig(copy=True)
_CODECS = {pb.AUDIO_CODEC_OPUS: "libopus", pb.AUDIO_CODEC_AAC: "aac", pb.AUDIO_CODEC_MP3: "mp3"}


@dataclass(frozen=True)
class Back:
    """What came back.

    Attributes:
        shown: for each picture in turn: its number, and when it comes, in seconds.
        frames: at the constant rate.
        rate: in frames per second.
        beeps: when they start, in seconds.
        sound_seconds: how far the sound goes.
        notes: of the reader.
    """

    shown: list[tuple[int, Fraction]]
    frames: int
    rate: Fraction
    beeps: list[float]
    sound_seconds: float
    notes: list[str]

    @property
    def seconds(self) -> Fraction:
        """How long it is."""
        return self.frames / self.rate


def read_back(data: bytes, *, sound: encoder_pb2.AudioConfig | None, from_pipe: bool = False) -> Back:
    """Return what the reader makes of a file."""
    info, pictures, packets, notes = read_all(OneWay(data) if from_pipe else io.BytesIO(data), audio=sound)
    assert {(picture.width, picture.height) for picture in pictures} == {(info.width, info.height)}
    shown: list[tuple[int, Fraction]] = []
    numbers: dict[int, int] = {}  # of picture objects, since one that stands is one object
    for n, picture in enumerate(pictures):
        number = numbers.setdefault(id(picture), number_of(picture))
        if not shown or shown[-1][0] != number:
            shown.append((number, n / info.frame_rate))
    beeps, seconds = _heard(info.audio_track, packets) if info.audio_track else ([], 0.0)
    return Back(shown, len(pictures), info.frame_rate, beeps, seconds, notes)


def _heard(track: pb.AudioTrack, packets: list[AudioPacket]) -> tuple[list[float], float]:
    """Return when beeps start and where the sound ends, by the packets' places alone."""
    assert [packet.index for packet in packets] == list(range(len(packets)))
    decoder: Any = av.CodecContext.create(_CODECS[track.codec], "r")
    decoder.extradata = (b"OpusHead" if track.codec == pb.AUDIO_CODEC_OPUS else b"") + track.extradata or None
    decoder.sample_rate, decoder.layout = track.sample_rate, {1: "mono", 2: "stereo"}[track.channels]
    parts = []
    for packet in packets:
        parts += [_samples(frame) for frame in decoder.decode(av.Packet(packet.data))]
    parts += [_samples(frame) for frame in decoder.decode(None)]
    sound = np.abs(np.concatenate(parts)) if parts else np.zeros(0)
    delay = len(packets) * track.packet_samples - len(sound)  # what the decoder left out by itself, at the start
    loud = (np.flatnonzero(sound > 0.1) + delay - track.skip_samples) / track.sample_rate
    starts = [float(time) for time, before in zip(loud, [-9.0, *loud], strict=False) if time - before > BEEP_SECONDS]
    return starts, (len(packets) * track.packet_samples - track.skip_samples) / track.sample_rate


def _samples(frame: AudioFrame) -> np.ndarray:
    sound = frame.to_ndarray().astype(float).reshape(frame.layout.nb_channels, -1, order="F")[0]
    return sound / 32768 if frame.format.name.startswith("s16") else sound


def play(video: bytes) -> Back:
    """Return what a player makes of an MP4 that was decoded from a stream."""
    shown: list[tuple[int, Fraction]] = []
    frames = 0
    times, samples = [np.zeros(0)], [np.zeros(0)]
    with av.open(io.BytesIO(video)) as container:
        rate = Fraction(container.streams.video[0].average_rate or 1)
        base = Fraction(container.streams.video[0].time_base or 1)
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, AudioFrame):
                    sound = _samples(frame)
                    samples.append(sound)
                    times.append(float(frame.time or 0) + np.arange(len(sound)) / frame.sample_rate)
                elif isinstance(frame, VideoFrame):
                    frames += 1
                    number = number_of(from_frame(frame.reformat(format="yuv420p")))
                    if not shown or shown[-1][0] != number:
                        shown.append((number, (frame.pts or 0) * base))
    time, sound = np.concatenate(times), np.abs(np.concatenate(samples))
    loud = time[sound > 0.1]
    starts = [float(at) for at, before in zip(loud, [-9.0, *loud], strict=False) if at - before > BEEP_SECONDS]
    return Back(shown, frames, rate, starts, float(time[-1]) if len(time) else 0.0, [])
