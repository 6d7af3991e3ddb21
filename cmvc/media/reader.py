"""Reads anything that FFmpeg opens, as pictures at a constant rate with the sound beside them."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
from av.video.frame import VideoFrame

from cmvc.errors import NoVideoError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media import probe
from cmvc.media.audio import AudioPacket, AudioSource, OpusEncoder, PacketCopy, packet_start
from cmvc.media.cadence import Cadence, Timed
from cmvc.media.convert import Converter, colors_of, is_hdr
from cmvc.media.deinterlace import deinterlaced
from cmvc.media.frames import AnyPacket
from cmvc.media.picture import Picture
from cmvc.media.spool import raise_pending, readable
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2

_LOOK_PACKETS = 1000  # packets read at most in search of the first frame and the first sound
_LOOK_FRAMES = 64  # decoded frames kept at most while looking for the first sound
_LOOK_PICTURE_BYTES = 64 << 20  # and bytes of them
_SHORT = Fraction(9, 10)  # of the declared duration; less is worth a note


@dataclass(frozen=True)
class VideoInfo:
    """What holds for a whole video.

    Attributes:
        width, height: of every picture, in pixels.
        frame_rate: in frames per second.
        pixel_aspect: width of a pixel over its height.
        quarter_turns: clockwise, that a player applies to show the pictures upright; 0..3.
        color_primaries, color_transfer, color_matrix: code points of ITU-T H.273; 2 where the source does not say.
        full_range: whether the source used codes 0..255. The pictures never do.
        frames_estimate: how many pictures will come, as far as the container says; None where it does not.
        audio_track: how the audio packets are to be understood; None when there are none.
    """

    width: int
    height: int
    frame_rate: Fraction
    pixel_aspect: Fraction
    quarter_turns: int
    color_primaries: int
    color_transfer: int
    color_matrix: int
    full_range: bool
    frames_estimate: int | None
    audio_track: pb.AudioTrack | None


def open_video(
    source: str | Path | BinaryIO,
    *,
    audio: encoder_pb2.AudioConfig | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> "VideoReader":
    """Open a video and decode its first frame.

    Args:
        source: path of a file, or a binary file object; one that cannot seek is read as it comes, or copied to a
            temporary file where the container has its index at the end.
        audio: what to do with the sound; None drops it.
        limits: bounds sizes, rate and the temporary file.

    Raises:
        MediaError: the input cannot be read, or its sound cannot be treated as asked.
        NoVideoError: it has no video stream or not one frame that decodes.
        LimitError: its pictures are too large.
        InvalidSettingError: the audio bit rate is out of range.
    """
    return VideoReader(source, audio, limits)


class VideoReader:
    """A video being read; a context manager. See ``open_video``.

    Attributes:
        info: what holds for the whole video.
        notes: what the user should know, one line each; complete when ``read`` has ended.
    """

    def __init__(
        self, source: str | Path | BinaryIO, audio: encoder_pb2.AudioConfig | None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.notes: list[str] = []
        self._limits = limits
        self._damaged = 0
        self._frames = 0
        self._in_use = threading.Lock()  # another thread may read; FFmpeg crashes when closed under its hands
        self._closed = False
        with ExitStack() as stack:
            self._source = stack.enter_context(readable(source, limits))
            self._container = stack.enter_context(probe.open_container(self._source, limits))
            self._video = probe.choose_video(self._container, limits)
            self._decoder = probe.make_decoder(self._video, limits)
            wanted = audio is not None and audio.WhichOneof("treatment") is not None
            self._sound = probe.choose_audio(self._container, self._video) if wanted else None
            streams = [self._video, *([self._sound] if self._sound else [])]
            self._packets = self._container.demux(*streams)
            self._first_frames: deque[VideoFrame] = deque()
            self._first_sound: deque[AnyPacket] = deque()
            self._look_ahead(for_sound=self._sound is not None and audio is not None and audio.copy)
            first = self._first_frames[0]
            self._start = _time_of(first) or Fraction(0)
            self._audio = self._open_audio(audio)
            self.info = self._describe(first)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the input, and the file where a path was given."""
        self.close()

    def close(self) -> None:
        """Close the input, and the file where a path was given; reading in another thread ends then."""
        with self._in_use:
            self._closed = True
            self._stack.close()

    def read(self) -> Iterator[Picture | AudioPacket]:
        """Yield the pictures in order, each audio packet before the picture during which it starts. Once.

        A container with its sound far behind its pictures has packets come later than that.

        Raises:
            MediaError: a frame cannot be converted, or a sound packet cannot be carried.
        """
        info = self.info
        converter = Converter(info.width, info.height, colors_of(self._first_frames[0]))
        cadence: Cadence[VideoFrame] = Cadence(info.frame_rate)
        frames = (Timed(frame, _time_of(frame), _duration_of(frame)) for frame in deinterlaced(self._decoded()))
        self._ready: deque[AudioPacket] = deque()
        last: tuple[VideoFrame, Picture] | None = None
        for frame in cadence.place(frames):
            if last is None or last[0] is not frame:
                last = (frame, converter.convert(frame))
            yield from self._sound_before(Fraction(self._frames + 1) / info.frame_rate)
            yield last[1]
            self._frames += 1
        yield from self._sound_before(Fraction(self._frames) / info.frame_rate)
        if not self._closed:
            self._add_notes(cadence, converter)

    def _look_ahead(self, *, for_sound: bool) -> None:
        """Read up to the first frame, and up to the first sound packet ``for_sound`` that is carried as it is.

        Raises:
            NoVideoError: no frame comes.
        """
        kept = 0
        for _ in range(_LOOK_PACKETS):
            packet = self._next_packet()
            if packet is None:
                break
            if packet.stream is self._video:
                self._first_frames.extend(self._decode(packet))
            elif packet.size:
                self._first_sound.append(packet)
            kept = len(self._first_frames)
            enough = kept >= _LOOK_FRAMES or (kept and kept * _bytes(self._first_frames[0]) > _LOOK_PICTURE_BYTES)
            if enough or (kept and (self._first_sound or not for_sound)):
                return
        if not kept:
            raise NoVideoError(
                f"not one frame of the input's {self._video.codec_context.name} video can be decoded; it is damaged, "
                f"or its pictures are over the limit of {self._limits.pixels} pixels"
            )

    def _next_packet(self) -> AnyPacket | None:
        """Return the next packet; None at the end, or where the input cannot be read any further.

        What a source raises that is not a file passes through.
        """
        packet: AnyPacket | None = None
        try:
            with self._in_use:
                packet = None if self._closed else next(self._packets, None)
        except (av.FFmpegError, ValueError) as error:
            self.notes.append(f"the input is damaged and was read up to there: {error}")
        raise_pending(self._source)
        return packet

    def _decode(self, packet: AnyPacket) -> list[VideoFrame]:
        try:
            with self._in_use:
                frames = [] if self._closed else self._decoder.decode(packet)
        except (av.FFmpegError, ValueError):
            self._damaged += 1
            return []
        for frame in frames:
            probe.check_size(frame.width, frame.height, self._limits)
            self._damaged += frame.is_corrupt
        return frames

    def _decoded(self) -> Iterator[VideoFrame]:
        """Yield the frames as they are decoded; keep the sound between them."""
        for heard in self._first_sound:
            self._hear(heard)
        self._first_sound.clear()
        while self._first_frames:
            yield self._first_frames.popleft()
        while (packet := self._next_packet()) is not None:
            if packet.stream is self._video:
                yield from self._decode(packet)
            elif packet.size:
                self._hear(packet)
        self._hear(None)

    def _hear(self, packet: AnyPacket | None) -> None:
        with self._in_use:
            if self._audio and not self._closed:
                self._ready.extend(self._audio.packets(packet))

    def _sound_before(self, time: Fraction) -> Iterator[AudioPacket]:
        """Yield the audio packets there are that start before ``time`` seconds."""
        while self._ready and self._audio and packet_start(self._audio.track, self._ready[0].index) < time:
            yield self._ready.popleft()

    def _open_audio(self, audio: encoder_pb2.AudioConfig | None) -> AudioSource | None:
        if audio is None or self._sound is None:
            return None
        if audio.WhichOneof("treatment") == "opus_bits_per_second":
            return OpusEncoder(self._sound, self._start, audio.opus_bits_per_second)
        if not audio.copy:
            return None
        if not self._first_sound:
            self.notes.append("the input's sound track has no sound near its start; it was left out")
            return None
        return PacketCopy(self._sound, self._start, self._first_sound[0])

    def _describe(self, first: VideoFrame) -> VideoInfo:
        colors = colors_of(first)
        rate = probe.frame_rate_of(self._video, _duration_of(first), self._limits)
        seconds = self._declared = probe.declared_seconds(self._container, self._video)
        if is_hdr(first):
            self.notes.append("the video has a high dynamic range; it was tone-mapped to BT.709")
        return VideoInfo(
            width=first.width,
            height=first.height,
            frame_rate=rate,
            pixel_aspect=self._video.sample_aspect_ratio or Fraction(1),
            quarter_turns=round(-first.rotation / 90) % 4,
            color_primaries=colors.primaries,
            color_transfer=colors.transfer,
            color_matrix=colors.matrix,
            full_range=colors.full_range,
            frames_estimate=max(1, round(seconds * rate)) if seconds else None,
            audio_track=self._audio.track if self._audio else None,
        )

    def _add_notes(self, cadence: Cadence[VideoFrame], converter: Converter) -> None:
        notes = self.notes
        if self._damaged:
            notes.append(
                f"{self._damaged} frames of the video are damaged; what could not be decoded was left out or concealed"
            )
        if self._audio and self._audio.damaged:
            notes.append(f"{self._audio.damaged} damaged packets of the sound were left out")
        if cadence.repeated or cadence.dropped:
            notes.append(
                f"the frame rate varies; to get {float(self.info.frame_rate):.5g} frames per second "
                f"{cadence.repeated} frames were repeated and {cadence.dropped} dropped"
            )
        if cadence.breaks:
            notes.append(f"the timestamps jump {cadence.breaks} times; the gaps were closed")
        if converter.resized:
            notes.append(
                f"{converter.resized} frames of another size were scaled to {self.info.width}x{self.info.height}"
            )
        seconds, declared = self._frames / self.info.frame_rate, self._declared
        if declared and seconds < declared * _SHORT:
            notes.append(
                f"the container declares {float(declared):.1f} s but {float(seconds):.1f} s of video could be "
                f"decoded; it may have been cut off"
            )


def _time_of(frame: VideoFrame) -> Fraction | None:
    ticks = frame.pts if frame.pts is not None else frame.dts
    return None if ticks is None or frame.time_base is None else ticks * frame.time_base


def _duration_of(frame: VideoFrame) -> Fraction | None:
    return frame.duration * frame.time_base if frame.duration and frame.time_base else None


def _bytes(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)


__all__ = ["AudioPacket", "VideoInfo", "VideoReader", "open_video"]
