"""From a stream of pictures and audio packets to windows that are coded one at a time."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmvc.errors import InvalidSettingError
from cmvc.limits import Limits
from cmvc.media.audio import AudioPacket
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo
from cmvc.media.scaling import resize
from cmvc.media.shots import FLASH_FRAMES, CutFinder
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.job import Job

FIRST_SECONDS = 4.0  # the first window is short, so that the first bytes and frames come early
SPARE_SECONDS = 2.0  # read past a full window, so that no tiny one is left at a shot's end
WINDOW_BYTES = 256 << 20  # of pictures in one window and those read past it
SPARE_SHARE = 5  # of these bytes, one part in so many is for the latter
LOW_RATE_PIXELS = 960 * 540  # what a low rate can make use of
LEAST_PIXELS = 640 * 360  # not shrunk below this for the sake of memory
PIXELS_PER_BIT = 3  # of working size for each bit/s of the target; at 100 kbit/s and less it does not bind
BYTES_PER_PIXEL = 1.5  # 8-bit 4:2:0
LEAST_SIDE = 16  # pixels
LOOK_AHEAD_FRAMES = FLASH_FRAMES + 1  # that are read before it is known whether a window goes on


@dataclass(frozen=True)
class WindowShape:
    """How windows are cut.

    Attributes:
        source_width, source_height: of the source in pixels.
        width, height: working size in pixels.
        frame_rate: in frames per second.
        longest: frames in a window at most.
        first: frames in the first window, where its shot is longer than half as many again.
        spare: frames read past ``longest``, at least 1.
        packet_seconds: duration of an audio packet, None without audio.
        skip_seconds: of audio before the first frame.
        color_matrix: of the pictures, code point of ITU-T H.273.
    """

    source_width: int
    source_height: int
    width: int
    height: int
    frame_rate: Fraction
    longest: int
    first: int
    spare: int
    packet_seconds: Fraction | None = None
    skip_seconds: Fraction = Fraction(0)
    color_matrix: int = 1


@dataclass
class Clock:
    """Seconds that reading took, and the pictures read so far; written by the thread that reads."""

    seconds: float = 0.0
    pictures: int = 0


@dataclass(frozen=True, eq=False)
class Marked:
    """A picture at the working size, and whether a shot starts with it."""

    picture: Picture
    opens_shot: bool


@dataclass(frozen=True)
class Batch:
    """A window, the audio packets that start within it, and whether it is the stream's last."""

    window: Window
    audio: list[AudioPacket]
    last: bool


def plan_shape(info: VideoInfo, job: Job, limits: Limits) -> WindowShape:
    """Return how to cut the windows of one stream, within ``limits`` and bounded memory.

    Raises:
        InvalidSettingError: the latency asked for is shorter than the search for cuts takes.
    """
    width, height, rate = info.width, info.height, info.frame_rate
    pixels: float = width * height
    frames = min(int(limits.segment_seconds * rate), limits.segment_frames, int(limits.segment_pixels // pixels)) or 1
    if job.bits_per_second is not None:
        wanted = job.bits_per_second * PIXELS_PER_BIT
        bearable = max(WINDOW_BYTES / BYTES_PER_PIXEL / frames, LEAST_PIXELS)
        pixels = min(pixels, max(LOW_RATE_PIXELS, wanted), max(bearable, wanted))
    width, height = _fit(width, height, pixels)
    in_memory = max(int(WINDOW_BYTES / BYTES_PER_PIXEL / (width * height)), 2)
    spare, first = max(int(SPARE_SECONDS * rate), 1), max(int(FIRST_SECONDS * rate), 1)
    spare = min(spare, max(in_memory // SPARE_SHARE, 1))
    frames = min(frames, in_memory - spare)
    if job.latency_s is not None:
        frames = min(frames, _frames_within(job.latency_s, rate))
        spare = 1
    track, packet, skip = info.audio_track, None, Fraction(0)
    if track is not None:
        packet, skip = packet_times(track)
        frames = max(min(frames, int((limits.audio_packets * packet - packet - skip) * rate)), 1)
    if job.mode == common_pb2.MODE_TT2V:
        unit = job.generator.text_frames(rate)
        frames, first = (count // unit * unit or count for count in (frames, first))
    return WindowShape(
        info.width, info.height, width, height, rate, frames, min(first, frames), spare, packet, skip, info.color_matrix
    )


def _frames_within(latency_s: float, rate: Fraction) -> int:
    """Return how long a window may be if its first frame is to wait ``latency_s`` at most, for the look-ahead, too."""
    frames = int(latency_s * rate) - LOOK_AHEAD_FRAMES
    if frames < 1:
        least = math.ceil(1000 * (LOOK_AHEAD_FRAMES + 1) / rate)
        raise InvalidSettingError(
            f"a latency of {1000 * latency_s:.0f} ms is too short at {float(rate):.4g} frames per second, where a cut "
            f"is told only {LOOK_AHEAD_FRAMES} frames later; ask for {least} ms or more",
            field="config.latency_ms",
        )
    return frames


def packet_times(track: pb.AudioTrack) -> tuple[Fraction, Fraction]:
    """Return the duration of one packet and the time before the first frame that is skipped, in seconds."""
    return Fraction(track.packet_samples, track.sample_rate), Fraction(track.skip_samples, track.sample_rate)


def _fit(width: int, height: int, pixels: float) -> tuple[int, int]:
    """Return the largest even size of at most about ``pixels``; the size itself where it fits."""
    if width * height <= pixels:
        return width, height
    factor = (pixels / (width * height)) ** 0.5
    return max(int(width * factor / 2) * 2, LEAST_SIDE), max(int(height * factor / 2) * 2, LEAST_SIDE)


def mark(items: Iterable[Picture | AudioPacket], shape: WindowShape, clock: Clock) -> Iterator[Marked | AudioPacket]:
    """Yield audio packets as they are, and pictures shrunk and marked, a few pictures later.

    A picture that stands is shrunk once, and all its frames share what becomes of it.
    """
    finder = CutFinder()
    held: deque[Picture] = deque()
    last: tuple[Picture, Picture] | None = None  # as it came, and shrunk
    started = time.perf_counter()
    for item in items:
        done: list[Marked | AudioPacket] = []
        if isinstance(item, Picture):
            clock.pictures += 1
            if last is None or last[0] is not item:
                last = (item, resize(item, shape.width, shape.height))
            held.append(last[1])
            done += [Marked(held.popleft(), opens) for opens in finder.push(held[-1])]
        else:
            done.append(item)
        clock.seconds += time.perf_counter() - started
        yield from done
        started = time.perf_counter()
    for opens in finder.finish():
        yield Marked(held.popleft(), opens)


@dataclass
class _Buffer:
    """What was read and is not yet in a window."""

    items: Iterator[Marked | AudioPacket]
    pictures: deque[Marked] = field(default_factory=deque)
    audio: deque[AudioPacket] = field(default_factory=deque)
    ended: bool = False

    def pull(self) -> None:
        item = next(self.items, None)
        if item is None:
            self.ended = True
        elif isinstance(item, Marked):
            self.pictures.append(item)
        else:
            self.audio.append(item)

    def shot_length(self) -> int | None:
        """Return the frames up to the next cut or the end, None while neither was read."""
        cuts = (n for n, marked in enumerate(self.pictures) if n and marked.opens_shot)
        return next(cuts, len(self.pictures) if self.ended else None)


def cut_windows(items: Iterator[Marked | AudioPacket], shape: WindowShape) -> Iterator[Batch]:
    """Yield the windows of a stream in order, each as soon as its end is certain.

    Args:
        items: each audio packet before the picture during which it starts.
        shape: how to cut.
    """
    buffer = _Buffer(items)
    first_frame = 0
    while (count := _next_length(buffer, shape, first_frame == 0)) > 0:
        yield _take_batch(buffer, shape, first_frame, count)  # not kept here, where it would outlive its use
        first_frame += count


def _take_batch(buffer: _Buffer, shape: WindowShape, first_frame: int, count: int) -> Batch:
    opens_shot = buffer.pictures[0].opens_shot
    pictures = [buffer.pictures.popleft().picture for _ in range(count)]
    following = buffer.pictures[0] if buffer.pictures else None
    closes_shot = following is not None and following.opens_shot
    window = Window(
        pictures=pictures,
        first_frame=first_frame,
        width=shape.source_width,
        height=shape.source_height,
        frame_rate=shape.frame_rate,
        opens_shot=opens_shot,
        closes_shot=closes_shot,
        following=following.picture if following and not closes_shot else None,
        color_matrix=shape.color_matrix,
    )
    return Batch(window, _take_audio(buffer, shape, (first_frame + count) / shape.frame_rate), last=following is None)


def halves(batch: Batch, shape: WindowShape) -> tuple[Batch, Batch]:
    """Return a window of two pictures or more as two, with the audio packets of each."""
    window = batch.window
    count = len(window.pictures) // 2
    end = (window.first_frame + count) / shape.frame_rate
    first = replace(
        window,
        pictures=window.pictures[:count],
        closes_shot=False,
        following=window.pictures[count],
        keyframes=tuple(place for place in window.keyframes if place < count),
    )
    second = replace(
        window,
        pictures=window.pictures[count:],
        first_frame=window.first_frame + count,
        opens_shot=False,
        keyframes=tuple(place - count for place in window.keyframes if place >= count),
    )
    early = [packet for packet in batch.audio if _packet_time(packet, shape) < end]
    return Batch(first, early, last=False), Batch(second, batch.audio[len(early) :], last=batch.last)


def _next_length(buffer: _Buffer, shape: WindowShape, is_first: bool) -> int:
    """Read as far as needed and return the frame count of the next window, 0 at the end."""
    full = shape.first if is_first else shape.longest
    while (length := buffer.shot_length()) is None and len(buffer.pictures) < full + shape.spare:
        buffer.pull()
    if length is None:
        return full
    if length <= full or (is_first and length <= min(full * 3 // 2, shape.longest)):
        return length
    return full if is_first else min((length + 1) // 2, full)


def _packet_time(packet: AudioPacket, shape: WindowShape) -> Fraction:
    assert shape.packet_seconds is not None
    return packet.index * shape.packet_seconds - shape.skip_seconds


def _take_audio(buffer: _Buffer, shape: WindowShape, end: Fraction) -> list[AudioPacket]:
    taken: list[AudioPacket] = []
    while buffer.audio and _packet_time(buffer.audio[0], shape) < end:
        taken.append(buffer.audio.popleft())
    return taken
