"""Reads anything that FFmpeg opens, as pictures at a constant rate with the sound beside them."""

import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from av.video.frame import VideoFrame

from cmvc.bitstream.cut import cut_chapters
from cmvc.errors import NoVideoError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media import probe
from cmvc.media.audio import AudioPacket
from cmvc.media.cadence import Cadence, Timed
from cmvc.media.convert import Converter, colors_of, is_hdr
from cmvc.media.decode import FrameDecoder
from cmvc.media.deinterlace import deinterlaced
from cmvc.media.demux import Guard
from cmvc.media.lanes import LOOK_SECONDS, Lanes, open_lanes
from cmvc.media.metadata import chapters_left_out, read_metadata
from cmvc.media.opening import Spool, open_source
from cmvc.media.orientation import orientation_of
from cmvc.media.picture import Picture
from cmvc.media.rates import declared_rate
from cmvc.media.soundtrack import open_soundtrack
from cmvc.media.spool import Check, go_on
from cmvc.media.timeline import LEAST_STAND_SECONDS, Timeline, end_of, plan_timeline
from cmvc.media.tracks import left_out
from cmvc.notes import Note
from cmvc.part import WHOLE, nothing_there, part_of
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2

_SHORT = Fraction(9, 10)  # of the declared duration; less is worth a note


@dataclass(frozen=True)
class VideoInfo:
    """What holds for a whole video.

    Attributes:
        width, height: of every picture, in pixels, as it is shown.
        frame_rate: in frames per second.
        pixel_aspect: width of a pixel over its height.
        color_primaries, color_transfer, color_matrix: code points of ITU-T H.273; 2 where the source does not say.
        full_range: whether the source used codes 0..255. The pictures never do.
        frames_estimate: how many pictures will come, as far as the container says; None where it does not.
        audio_track: how the audio packets are to be understood; None when there are none.
        metadata: what the source says about itself; None when it says nothing or was not asked.
        source_audio_rate: of the source's sound as it is, in bit/s; None where not all of it was seen beforehand.
    """

    width: int
    height: int
    frame_rate: Fraction
    pixel_aspect: Fraction
    color_primaries: int
    color_transfer: int
    color_matrix: int
    full_range: bool
    frames_estimate: int | None
    audio_track: pb.AudioTrack | None
    metadata: pb.Metadata | None = None
    source_audio_rate: float | None = None


def open_video(
    source: str | Path | BinaryIO,
    *,
    audio: encoder_pb2.AudioConfig | None = None,
    metadata: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    check: Check = go_on,
    look: Fraction = LOOK_SECONDS,
    start: float = 0.0,
    duration: float = 0.0,
    spool: Spool = tempfile.TemporaryFile,
) -> "VideoReader":
    """Open a video, look through its timestamps and decode its first frame.

    Args:
        source: path of a file, or a binary file object; one that cannot seek is read as it comes, or copied to a
            temporary file where the container has its index at the end.
        audio: what to do with the sound, ``keep`` being settled to a bit rate; None drops it.
        metadata: whether title, chapters and language are read.
        limits: bounds sizes, rate and the temporary file.
        check: asked before each piece of the source that is read; raises to stop the work.
        look: seconds that are read, of a source that cannot seek, before the rate is settled.
        start: seconds of the video that are left out before what is read.
        duration: seconds that are read; 0 for all that follow.
        spool: makes the temporary file.

    Raises:
        MediaError: the input cannot be read, or its sound cannot be treated as asked.
        NoVideoError: it has no video stream or not one frame that decodes.
        LimitError: its pictures are too large or too many in a second.
        InvalidSettingError: the audio bit rate is out of range, or there is no such sound track, or the video ends
            before ``start``.
    """
    return VideoReader(
        source, audio, limits, check, look, metadata=metadata, start=start, duration=duration, spool=spool
    )


class VideoReader:
    """A video being read; a context manager. See ``open_video``.

    Attributes:
        info: what holds for the whole video.
        notes: what the user should know, one line each; complete when ``read`` has ended.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        audio: encoder_pb2.AudioConfig | None,
        limits: Limits,
        check: Check,
        look: Fraction,
        *,
        metadata: bool,
        start: float,
        duration: float,
        spool: Spool,
    ) -> None:
        self.notes: list[str] = []
        self._limits = limits
        self._frames = 0
        self._guard = Guard()  # another thread may read
        with ExitStack() as stack:
            opened = stack.enter_context(open_source(source, limits, check, spool))
            wanted = audio is not None and audio.WhichOneof("treatment") is not None
            self._lanes: Lanes = stack.enter_context(
                closing(
                    open_lanes(
                        opened,
                        limits,
                        self._guard,
                        look=look,
                        keep_sound=wanted,
                        sound_track=audio.track if audio else "",
                    )
                )
            )
            self._decoder = FrameDecoder(self._lanes.demuxer, limits, self._guard)
            self._first_frames = self._decode_first()
            first = self._first_frames[0]
            video = self._lanes.video
            declared = declared_rate(video.guessed_rate, video.average_rate, video.time_base, _duration_of(first))
            self._timeline = plan_timeline(self._lanes.survey, _time_of(first), declared, limits.frame_rate)
            self._part = part_of(start, duration, self._timeline.rate, limits)
            self._start = self._timeline.start + self._part.first / self._timeline.rate
            self._colors = colors_of(first)
            self._skip()
            self._sound = open_soundtrack(self._lanes, self._start, audio) if audio and wanted else None
            self.notes += self._notes_on_tracks(wanted=wanted, metadata=metadata)
            self.info = self._describe(first, metadata=metadata)
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
        with self._guard.lock:
            self._guard.closed = True
            self._stack.close()

    def read(self) -> Iterator[Picture | AudioPacket]:
        """Yield the pictures in order, each audio packet before the picture during which it starts. Once.

        Raises:
            MediaError: a frame cannot be converted, or a sound packet cannot be carried.
            LimitError: a frame is too large.
            InvalidSettingError: the video ends before the part begins that is asked for.
        """
        converter = Converter(self.info.width, self.info.height, self._colors, self._lanes.demuxer.crop)
        cadence: Cadence[VideoFrame] = Cadence(self.info.frame_rate, self._timeline.start, self._skipped_to)
        last: tuple[VideoFrame, Picture] | None = None
        for frame in self._wanted(cadence):
            if last is None or last[0] is not frame:
                last = (frame, converter.convert(frame))
            yield from self._sound_before(self._frames + 1)
            yield last[1]
            self._frames += 1
        yield from self._sound_before(self._frames)
        if not self._guard.closed:
            self.notes += self._all_notes(cadence, converter)

    def _skip(self) -> None:
        """Go to where the part begins that is asked for, as near as the container lets us."""
        self._skipped_to: Fraction | None = None
        if not self._part.first or self._timeline.by_order or not self._lanes.skip_to(self._start):
            return
        self._decoder = FrameDecoder(self._lanes.demuxer, self._limits, self._guard)
        self._first_frames = self._decode_first()
        first = _time_of(self._first_frames[0])
        if first is not None and first <= self._start:
            self._skipped_to = first

    def _wanted(self, cadence: Cadence[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the frames of the part that is asked for, slot by slot."""
        slot = cadence.first_slot
        for slot, frame in enumerate(self._placed(cadence), cadence.first_slot):
            if self._part.ends_before(slot):
                return
            if slot >= self._part.first:
                yield frame
        if slot < self._part.first and not self._guard.closed:
            raise nothing_there(self._part, slot + 1, self.info.frame_rate)

    def _placed(self, cadence: Cadence[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the frames slot by slot, the last one until the video ends."""
        by_order = self._timeline.by_order
        frame: VideoFrame | None = None
        timed = (Timed(each, None if by_order else _time_of(each)) for each in deinterlaced(self._decoded()))
        for frame in cadence.place(timed):
            yield frame
        end = None if by_order else end_of(self._lanes.survey, with_sound=self._sound is not None)
        if frame is not None and end is not None and not self._guard.closed:
            yield from cadence.hold(frame, end)

    def _decode_first(self) -> deque[VideoFrame]:
        """Decode up to the first frame.

        Raises:
            NoVideoError: no frame comes.
        """
        while (packet := self._lanes.next_picture()) is not None:
            if frames := self._decoder.decode(packet):
                return deque(frames)
        if frames := self._decoder.decode(None):
            return deque(frames)
        raise NoVideoError(
            f"not one frame of the input's {self._decoder.name} video can be decoded; it is damaged, "
            f"or its pictures are over the limit of {self._limits.pixels} pixels"
        )

    def _decoded(self) -> Iterator[VideoFrame]:
        while self._first_frames:
            yield self._first_frames.popleft()
        while (packet := self._lanes.next_picture()) is not None:
            yield from self._decoder.decode(packet)
        yield from self._decoder.decode(None)

    def _sound_before(self, frame: int) -> Iterator[AudioPacket]:
        """Yield the audio packets that start before frame number ``frame``."""
        if self._sound is not None:
            yield from self._sound.before(Fraction(frame) / self.info.frame_rate)

    @property
    def has_sound(self) -> bool:
        """Whether the source has a track of sound, kept or not."""
        return bool(self._lanes.demuxer.container.streams.audio)

    def _notes_on_tracks(self, *, wanted: bool, metadata: bool) -> Iterator[str]:
        demuxer = self._lanes.demuxer
        if wanted and demuxer.unknown_sound:
            why = "FFmpeg cannot tell its format; where it starts late in a pipe, give the file"
            yield Note.SOUND_LEFT_OUT.line(why)
        elif wanted and self.has_sound and self._sound is None:
            yield Note.SOUND_LEFT_OUT.line("nothing of it can be read")
        yield from left_out(demuxer.container, demuxer.video, demuxer.sound if self._sound else None)
        if not metadata:
            yield from chapters_left_out(demuxer.container)

    def _describe(self, first: VideoFrame, *, metadata: bool) -> VideoInfo:
        colors = self._colors
        video, rate = self._lanes.video, self._timeline.rate
        self._declared = probe.declared_seconds(self._lanes.demuxer.container, video)
        if is_hdr(first):
            self.notes.append(Note.HDR_TONE_MAPPED.line("the video has a high dynamic range; it became BT.709"))
        kept = None
        if metadata:
            demuxer = self._lanes.demuxer
            sound = demuxer.sound if self._sound else None
            kept, notes = read_metadata(demuxer.container, sound, self._timeline.start, self._limits)
            self.notes += notes
            if kept:
                cut_chapters(kept, self._part, rate)
        aspect = Fraction(video.sample_aspect_ratio or 1)
        width, height = self._lanes.demuxer.crop.size(first.width, first.height)
        on_its_side = orientation_of(first).transposed
        survey = self._lanes.survey
        frames = _estimate(self._timeline, self._lanes, self._declared, with_sound=self._sound is not None)
        if frames is not None and survey.whole and frames <= self._part.first:
            raise nothing_there(self._part, frames, rate)
        return VideoInfo(
            width=height if on_its_side else width,
            height=width if on_its_side else height,
            frame_rate=rate,
            pixel_aspect=1 / aspect if on_its_side else aspect,
            color_primaries=colors.primaries,
            color_transfer=colors.transfer,
            color_matrix=colors.matrix,
            full_range=colors.full_range,
            frames_estimate=len(self._part.of_run(0, frames or 0)) or None,
            audio_track=self._sound.track if self._sound else None,
            metadata=kept,
            source_audio_rate=float(8 * survey.sound_bytes * rate / frames) if survey.whole and frames else None,
        )

    def _all_notes(self, cadence: Cadence[VideoFrame], converter: Converter) -> Iterator[str]:
        rate, info = self._timeline.rate, self.info
        if self._lanes.demuxer.damage:
            yield Note.SOURCE_DAMAGED.line(self._lanes.demuxer.damage)
        if self._decoder.damaged:
            yield Note.SOURCE_DAMAGED.line(
                f"{self._decoder.damaged} frames of the video are damaged; what could not be decoded was left out or "
                f"concealed"
            )
        if self._sound:
            yield from self._sound.notes()
        if cadence.repeated or cadence.dropped:
            yield Note.RATE_EVENED.line(
                f"the frame rate varies; to get {float(rate):.5g} frames per second {cadence.repeated} frames were "
                f"repeated and {cadence.dropped} dropped"
            )
        if leaps := self._lanes.demuxer.leaps:
            yield Note.GAPS_CLOSED.line(f"the timestamps jump {leaps} times; the gaps were closed")
        if converter.flattened:
            yield Note.ALPHA_FLATTENED.line(f"{converter.flattened} transparent frames were put on black")
        if converter.resized:
            text = f"{converter.resized} frames of another size were scaled to {info.width}x{info.height}"
            yield Note.FRAMES_SCALED.line(text)
        yield from self._notes_on_length()

    def _notes_on_length(self) -> Iterator[str]:
        if self._part != WHOLE:
            return
        seconds, declared, survey = self._frames / self._timeline.rate, self._declared, self._lanes.survey
        if lead := float(self._timeline.lead):
            text = f"the sound starts {lead:.2f} s before the picture; its first one stands until then"
            yield Note.PICTURE_STANDS.line(text)
        end, sound = survey.picture_end(), end_of(survey, with_sound=self._sound is not None)
        if end is not None and sound is not None and sound - end > LEAST_STAND_SECONDS:
            text = f"the sound ends {float(sound - end):.2f} s after the picture; its last one stands until then"
            yield Note.PICTURE_STANDS.line(text)
        heard = survey.sound_last() if self._sound else None
        if heard is not None and sound is not None and heard - sound > LEAST_STAND_SECONDS:
            yield Note.SOUND_CUT.line(f"sound up to {float(heard - sound):.2f} s after the end was cut off")
        if declared and seconds < declared * _SHORT:
            yield Note.SOURCE_SHORT.line(
                f"the container declares {float(declared):.1f} s but {float(seconds):.1f} s of video could be "
                f"decoded; it may have been cut off"
            )


def _estimate(timeline: Timeline, lanes: Lanes, declared: Fraction | None, *, with_sound: bool) -> int | None:
    """Return how many pictures there will be, as far as is known."""
    survey = lanes.survey
    if survey.whole and timeline.by_order:
        return survey.pictures
    end = end_of(survey, with_sound=with_sound) if survey.whole else None
    seconds = end - timeline.start if end is not None else declared
    return max(1, round(seconds * timeline.rate)) if seconds else None


def _time_of(frame: VideoFrame) -> Fraction | None:
    ticks = frame.pts if frame.pts is not None else frame.dts
    return None if ticks is None or frame.time_base is None else ticks * frame.time_base


def _duration_of(frame: VideoFrame) -> Fraction | None:
    return frame.duration * frame.time_base if frame.duration and frame.time_base else None


__all__ = ["AudioPacket", "VideoInfo", "VideoReader", "open_video"]
