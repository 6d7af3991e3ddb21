"""Clips whose pictures carry their number and whose sound beeps at known times, in any container."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from cmvc.media.picture import Picture

BITS = 8
CELL = 8  # pixels; a picture has two rows of four of them, below a bar on the upper left
WIDTH, HEIGHT = 4 * CELL, 3 * CELL
BEEP_SECONDS = 0.08
Matrix = tuple[int, ...]
_DARK, _LIGHT = 50, 200


def numbered(
    number: int, pixel_format: str = "yuv420p", *, matrix: Matrix = (), top: int = 0, left: int = 0
) -> VideoFrame:
    """Return a picture that shows the bits of ``number``.

    Args:
        number: below 256.
        pixel_format: of the frame.
        matrix: display matrix that makes it upright.
        top, left: rows and columns in front of it that are to go.
    """
    rows = np.full((HEIGHT, WIDTH), _DARK, np.uint8)
    rows[: CELL // 2, : 2 * CELL] = _LIGHT  # the upper left
    for bit in range(BITS):
        if number >> bit & 1:
            y, x = CELL * (1 + bit // 4), CELL * (bit % 4)
            rows[y : y + CELL, x : x + CELL] = _LIGHT
    rows = _laid(rows, matrix) if matrix else rows
    rows = np.pad(rows, ((top, 0), (left, 0)), constant_values=235)
    frame = VideoFrame.from_ndarray(np.repeat(rows[..., None], 3, axis=2), format="rgb24")
    return frame.reformat(format=pixel_format)


def _laid(rows: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Return what ``matrix`` shows as ``rows``: a sample at (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, _, c, d, *_ = (number // 65536 for number in matrix)
    height, width = rows.shape if a else rows.shape[::-1]
    y, x = np.mgrid[:height, :width]
    across, down = a * x + c * y, b * x + d * y
    return rows[down - down.min(), across - across.min()]


def number_of(picture: Picture) -> int:
    """Return the number that an upright picture shows; -1 where it is not upright or not of its size."""
    luma = picture.y.astype(int)
    if luma.shape != (HEIGHT, WIDTH):
        return -1
    bar, beside = luma[1 : CELL // 2 - 1, 2 : 2 * CELL - 2].mean(), luma[1 : CELL // 2 - 1, 2 * CELL + 2 : -2].mean()
    if bar < beside + 40:
        return -1
    number = 0
    for bit in range(BITS):
        y, x = CELL * (1 + bit // 4), CELL * (bit % 4)
        number |= int(luma[y + 2 : y + CELL - 2, x + 2 : x + CELL - 2].mean() > 125) << bit
    return number


@dataclass(frozen=True)
class Clip:
    """What a file is to hold.

    Attributes:
        times: when each picture comes, in seconds; picture n shows the number ``first + n``.
        end: of the last one.
        first: number of the first picture.
        sound: from, to, in seconds; None for a silent clip.
        beeps: when they start.
        options: of the encoder of pictures.
        matrix: display matrix, as nine numbers.
        crop: rows above and columns on the left that the bit stream says are not to be shown.
        interlaced: whether it says so.
    """

    times: tuple[Fraction, ...]
    end: Fraction
    first: int = 0
    sound: tuple[float, float] | None = None
    beeps: tuple[float, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    matrix: Matrix = ()
    crop: tuple[int, int] = (0, 0)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the pictures, in order."""
        return list(range(self.first, self.first + len(self.times)))

    @property
    def silent(self) -> "Clip":
        """The clip without its sound."""
        return replace(self, sound=None, beeps=())


def steady(count: int, rate: Fraction | int = 25, **more: Any) -> Clip:
    """Return a clip of ``count`` pictures at a constant rate."""
    return Clip(tuple(n / Fraction(rate) for n in range(count)), count / Fraction(rate), **more)


@dataclass(frozen=True)
class Container:
    """A container with the codecs that are put in it.

    Attributes:
        name: for people.
        muxer: FFmpeg's name.
        video, audio: codecs; no audio where the container has none.
        pixel_format: of the codec.
        tick: the unit of its timestamps in seconds, where it is coarse.
        options: of the muxer.
        video_options: of the encoder.
    """

    name: str
    muxer: str
    video: str
    audio: str = ""
    pixel_format: str = "yuv420p"
    tick: Fraction | None = None
    options: dict[str, str] = field(default_factory=dict)
    video_options: dict[str, str] = field(default_factory=dict)


def write(clip: Clip, container: Container, rate: Fraction | int = 25) -> bytes:
    """Return a file with the clip; ``rate`` is what the container is told."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        with av.open(str(path), "w", format=container.muxer, container_options=container.options) as output:
            video = _add_video(output, clip, container, Fraction(rate))
            sound = _add_sound(output, container) if clip.sound and container.audio else None
            packets = _pictures(clip, container, video)
            if sound and clip.sound:
                packets += _sound(sound, clip.sound, clip.beeps)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                output.mux(packet)
        return _cropped(path, clip.crop, container.muxer) if clip.crop != (0, 0) else path.read_bytes()


def _cropped(path: Path, crop: tuple[int, int], muxer: str) -> bytes:
    """Return the file with the crop said in its H.264; PyAV has no way to put that in."""
    top, left = crop
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-c", "copy"]
    command += ["-bsf:v", f"h264_metadata=crop_left={left}:crop_top={top}", "-f", muxer, str(path) + ".cropped"]
    subprocess.run(command, check=True, timeout=60)
    return Path(str(path) + ".cropped").read_bytes()


def _add_video(output: Any, clip: Clip, container: Container, rate: Fraction) -> Any:
    options = container.video_options | clip.options
    stream = output.add_stream(container.video, rate=rate, options=options)
    top, left = clip.crop
    context = stream.codec_context
    on_its_side = bool(clip.matrix) and not clip.matrix[0]
    width, height = (HEIGHT, WIDTH) if on_its_side else (WIDTH, HEIGHT)
    context.width, context.height, context.pix_fmt = width + left, height + top, container.pixel_format
    context.time_base = stream.time_base = container.tick or Fraction(1, 90_000)
    context.gop_size = 12
    if clip.matrix:
        stream.set_display_matrix(clip.matrix)
    return stream


def _pictures(clip: Clip, container: Container, stream: Any) -> list[Any]:
    base = stream.codec_context.time_base
    top, left = clip.crop
    packets = []
    for number, time in zip(clip.numbers, clip.times, strict=True):
        frame = numbered(number, container.pixel_format, matrix=clip.matrix, top=top, left=left)
        frame.pts, frame.time_base = round(time / base), base
        packets += stream.encode(frame)
    packets += stream.encode(None)
    ends = dict(zip(clip.times, [*clip.times[1:], clip.end], strict=True))
    spans = {round(time / base): round((end - time) / base) for time, end in ends.items()}
    for packet in packets:
        packet.duration = spans.get(packet.pts, packet.duration)
    return packets


def _add_sound(output: Any, container: Container) -> Any:
    stream = output.add_stream(container.audio, rate=48_000)
    context = stream.codec_context
    context.layout, context.time_base = "mono", Fraction(1, 48_000)
    context.format = "s16" if container.audio in ("libopus", "pcm_s16le", "flac") else "fltp"
    return stream


def _sound(stream: Any, span: tuple[float, float], beeps: Sequence[float]) -> list[Any]:
    context = stream.codec_context
    context.open(strict=False)
    size = context.frame_size or 1024
    packets = []
    for start in range(round(span[0] * 48_000), round(span[1] * 48_000), size):
        times = np.arange(start, start + size) / 48_000
        on = sum(((times >= beep) & (times < beep + BEEP_SECONDS)).astype(float) for beep in beeps)
        samples = (0.5 * on * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)
        if context.format.name.startswith("s16"):
            samples = (samples * 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format=context.format.name, layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), start
        packets += stream.encode(frame)
    return packets + stream.encode(None)
