"""Fragmented MP4 (CMAF) whose fragments are made segment by segment, anywhere, and concatenate into one file.

Everything that shapes the init segment or the samples is fixed here or comes from the stream header, so that fragments
from different processes fit together. Times are absolute; a fragment's sequence number is its first frame's number.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import chain

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from cmvc.bitstream.stream import frame_rate, pixel_aspect
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.audio import LAYOUTS
from cmvc.media.boxes import whole_boxes, with_audio_start, with_chapters
from cmvc.media.frames import AnyPacket, to_frame
from cmvc.media.picture import Picture, even, full_range
from cmvc.settings import DEFAULT_CRF
from cmvc.v1 import bitstream_pb2 as pb

# superfast runs several times real time on one core. What is written was coded far more coarsely before: with equal
# quantisers and whole macroblocks it takes a fifth less time and a seventh fewer bytes for 0.3 dB of 49.
# One thread and no B-frames: the bytes depend on the pictures alone, and no frame starts late. Keyframes stand where
# fragments begin, about every second; the output's first ones are shorter, so that playing starts before a slow decoder
# has made a second of video, and goes on where it makes one in less than the time that the last one plays.
_X264 = {
    "preset": "superfast",
    "bf": "0",
    "threads": "1",
    "sc_threshold": "0",
    "aq-mode": "0",
    "partitions": "none",
    "weightp": "0",
}
_FIRST_FRAGMENT, _GROWTH = Fraction(1, 4), Fraction(4, 3)  # seconds; of each over the one before
_MOVFLAGS = "cmaf+frag_keyframe+frag_discont"
_ENCODERS = {pb.AUDIO_CODEC_OPUS: "libopus", pb.AUDIO_CODEC_AAC: "aac", pb.AUDIO_CODEC_MP3: "libmp3lame"}


class _Collected:
    """The muxer's output, until it is taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self, *kinds: bytes) -> bytes:
        """Remove the boxes that are whole by now and return those of ``kinds``."""
        boxes = list(whole_boxes(self._data))
        taken = b"".join(bytes(self._data[box.body - 8 : box.end]) for box in boxes if box.kind in kinds)
        if boxes:
            del self._data[: boxes[-1].end]
        return taken


class FragmentedMp4:
    """Writes H.264 with the stream's sound beside it, as it is carried.

    Sizes that 4:2:0 cannot express (an odd side) are written as 4:4:4, or with one more row or column.
    """

    def __init__(self, header: pb.StreamHeader, crf: int = DEFAULT_CRF, *, even: bool = False) -> None:
        """Write streams with ``header`` at a constant rate factor of ``crf``, 0..51, of which more is less quality.

        ``even`` makes sides even (see ``cmvc.media.picture.even``), for players that take no 4:4:4.

        Raises:
            LimitError: there is no such quality.
        """
        self._crf = DEFAULT_LIMITS.check("crf", crf)
        self._header = header
        self._even = even
        self._rate = frame_rate(header)
        self._prologue = b""

    @property
    def prologue(self) -> bytes:
        """The init segment."""
        if not self._prologue:
            collected = _Collected()
            container, *_ = self._open(collected, 0)
            init = collected.take(b"ftyp", b"moov")
            container.close()
            skip = self._header.audio.skip_samples
            init = with_audio_start(init, skip) if skip else init
            chapters = self._header.metadata.chapters
            self._prologue = with_chapters(init, chapters) if chapters else init
        return self._prologue

    def segment(
        self,
        first_frame: int,
        pictures: Iterable[Picture],
        audio: Sequence[bytes] = (),
        first_packet: int = 0,
        *,
        end_frame: int | None = None,
    ) -> Iterator[bytes]:
        """Yield whole fragments; see ``SegmentOutput.segment``."""
        collected = _Collected()
        container, video, sound = self._open(collected, first_frame)
        with closing(container):  # else its encoder is garbage in a cycle: of 8K more than half a gigabyte
            packets = self._audio_packets(sound, audio, first_packet, end_frame) if sound else iter(())
            waiting = next(packets, None)
            for packet in self._video_packets(video, first_frame, pictures):
                while waiting and _time(waiting) <= _time(packet):
                    container.mux(waiting)
                    waiting = next(packets, None)
                container.mux(packet)
                if fragments := collected.take(b"moof", b"mdat"):
                    yield fragments
            for late in chain([waiting] if waiting else [], packets):
                container.mux(late)
        yield collected.take(b"moof", b"mdat")

    def _open(self, collected: _Collected, first_frame: int) -> tuple[OutputContainer, VideoStream, AudioStream | None]:
        options = {
            "movflags": _MOVFLAGS,
            "fragment_index": str(first_frame + 1),
            "max_interleave_delta": "1",  # packets come in order; waiting for the other track would hold fragments
        }
        container = av.open(collected, "w", format="mp4", container_options=options)
        try:
            video = self._add_video(container)
            sound = self._add_audio(container) if self._header.HasField("audio") else None
            if title := self._header.metadata.title:
                container.metadata["title"] = title
            container.start_encoding()
        except (av.FFmpegError, OverflowError, ValueError) as error:
            raise InvalidSettingError(f"what the stream's header says cannot be written as MP4: {error}") from None
        return container, video, sound

    def _add_video(self, container: OutputContainer) -> VideoStream:
        header = self._header
        stream = container.add_stream("libx264", rate=self._rate, options={**_X264, "crf": str(self._crf)})
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        odd_columns, odd_rows = header.width % 2, header.height % 2
        context.width = header.width + odd_columns * self._even
        context.height = header.height + odd_rows * self._even
        context.pix_fmt = "yuv444p" if (odd_columns or odd_rows) and not self._even else "yuv420p"
        context.time_base = stream.time_base = 1 / self._rate
        context.gop_size = max(1, round(self._rate))
        context.sample_aspect_ratio = pixel_aspect(header)
        context.color_primaries = header.color_primaries or 1
        context.color_trc = header.color_transfer or 1
        context.colorspace = header.color_matrix or 1
        context.color_range = 2 if header.full_range else 1
        if header.quarter_turns:
            stream.set_display_rotation(-90.0 * header.quarter_turns)
        return stream

    def _add_audio(self, container: OutputContainer) -> AudioStream:
        track = self._header.audio
        if track.codec not in _ENCODERS or track.channels not in LAYOUTS:
            raise InvalidSettingError(f"sound of codec {track.codec} with {track.channels} channels cannot be written")
        stream = container.add_stream(_ENCODERS[track.codec], rate=track.sample_rate)
        assert isinstance(stream, AudioStream)
        context = stream.codec_context
        context.layout = LAYOUTS[track.channels]
        context.time_base = stream.time_base = Fraction(1, track.sample_rate)
        context.open()  # only to describe the track: the packets are the stream's own
        if track.extradata:
            magic = b"OpusHead" if track.codec == pb.AUDIO_CODEC_OPUS else b""
            context.extradata = magic + track.extradata
        if language := self._header.metadata.language:
            stream.metadata["language"] = language
        return stream

    def _video_packets(self, stream: VideoStream, first_frame: int, pictures: Iterable[Picture]) -> Iterator[AnyPacket]:
        early = set(_early_fragments(self._rate))
        for number, picture in enumerate(pictures, first_frame):
            if (picture.width, picture.height) != (self._header.width, self._header.height):
                raise InvalidSettingError(
                    f"a picture of {picture.width}x{picture.height} does not fit a stream of "
                    f"{self._header.width}x{self._header.height}; scale it first"
                )
            shown = even(picture) if self._even else picture
            frame = to_frame(full_range(shown) if self._header.full_range else shown)
            if stream.pix_fmt != "yuv420p":
                frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, 1 / self._rate
            if number in early:
                frame.pict_type = PictureType.I
            yield from stream.encode(frame)
        yield from stream.encode()

    def _audio_packets(
        self, stream: AudioStream, audio: Sequence[bytes], first_packet: int, end_frame: int | None
    ) -> Iterator[AnyPacket]:
        track = self._header.audio
        end = None  # of the stream, in samples
        if end_frame is not None:
            end = int(end_frame / self._rate * track.sample_rate) + track.skip_samples
        for number, data in enumerate(audio, first_packet):
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = Fraction(1, track.sample_rate)
            packet.pts = packet.dts = number * track.packet_samples
            left = track.packet_samples if end is None else end - number * track.packet_samples
            packet.duration = max(min(track.packet_samples, left), 1)
            packet.is_keyframe = True
            yield packet


def _early_fragments(rate: Fraction) -> Iterator[int]:
    """Yield the numbers of the frames with which an output's fragments begin until they last a second."""
    seconds = start = _FIRST_FRAGMENT
    while seconds < 1:
        yield round(start * rate)
        seconds *= _GROWTH
        start += seconds


def _time(packet: AnyPacket) -> Fraction:
    return (packet.pts or 0) * packet.time_base
