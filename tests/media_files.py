"""Small videos that the tests make for themselves, so that every oddity is known exactly."""

import io
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from cmvc.media.audio import AudioPacket
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo, open_video
from cmvc.v1 import bitstream_pb2 as pb

RATE = Fraction(24)
BEEP_HZ = 1000


def gray_frame(level: int, width: int = 64, height: int = 48, pixel_format: str = "yuv420p") -> VideoFrame:
    """Return a frame of one luma code, neutral in colour. 10-bit formats take 10-bit codes."""
    frame = VideoFrame(width, height, pixel_format)
    deep = "10" in pixel_format
    for number, plane in enumerate(frame.planes):
        samples = np.frombuffer(memoryview(plane), np.uint16 if deep else np.uint8)
        samples[:] = level if number == 0 else (512 if deep else 128)
    return frame


def numbered_frames(count: int, width: int = 64, height: int = 48) -> list[VideoFrame]:
    """Return gray frames whose luma says their number: ``number_of`` reads it back."""
    return [gray_frame(20 + 4 * (n % 50), width, height) for n in range(count)]


def number_of(picture: Picture) -> int:
    """Return which of ``numbered_frames`` (below 50) a picture shows."""
    return round((float(picture.y.mean()) - 20) / 4)


def moving_frames(count: int, width: int = 64, height: int = 48) -> list[VideoFrame]:
    """Return frames with texture and a bar that moves by two pixels per frame."""
    texture = np.random.default_rng(1).integers(40, 90, (height, width, 3), np.uint8)
    frames = []
    for n in range(count):
        image = texture.copy()
        image[:, 2 * n % width : 2 * n % width + 8] = (220, 180, 30)
        frames.append(VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p"))
    return frames


def write_video(
    frames: Sequence[VideoFrame],
    *,
    container: str = "matroska",
    codec: str = "ffv1",
    rate: Fraction = RATE,
    times: Sequence[Fraction] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    quarter_turns: int = 0,
    pixel_aspect: Fraction | None = None,
    sound: "Sound | None" = None,
) -> bytes:
    """Return a file with ``frames``, at ``times`` (seconds) or one after the other."""
    with tempfile.TemporaryDirectory() as folder:  # a name, because the faststart muxer opens the file again
        path = Path(folder) / "video"
        _write(
            path, frames, container, codec, rate, times, options, container_options, quarter_turns, pixel_aspect, sound
        )
        return path.read_bytes()


def _write(
    path, frames, container, codec, rate, times, options, container_options, quarter_turns, pixel_aspect, sound
) -> None:
    base = Fraction(1, 90_000) if times else 1 / rate
    with av.open(str(path), "w", format=container, container_options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        context: Any = stream.codec_context
        context.width, context.height = frames[0].width, frames[0].height
        context.pix_fmt, context.time_base = frames[0].format.name, base
        context.color_range, context.colorspace = frames[0].color_range, frames[0].colorspace
        context.color_primaries, context.color_trc = frames[0].color_primaries, frames[0].color_trc
        if pixel_aspect:
            context.sample_aspect_ratio = pixel_aspect
        if quarter_turns:
            stream.set_display_rotation(-90 * quarter_turns)
        audio = sound.add_to(output) if sound else None
        packets = []
        for number, frame in enumerate(frames):
            frame.pts = round((times[number] if times else number / rate) / base)
            frame.time_base = base
            packets += stream.encode(frame)
        packets += stream.encode()
        if sound:
            packets += sound.encoded(audio)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        output.mux(packets)


class Sound:
    """A mono sound track of short beeps, ``offset`` seconds off the video's clock.

    The samples are placed so that each beep is heard at its time, whatever the offset.
    """

    def __init__(
        self,
        codec: str,
        beeps: Iterable[float],
        *,
        seconds: float,
        offset: float = 0.0,
        rate: int = 48_000,
        **options: str,
    ) -> None:
        self.codec, self.offset, self.rate, self.options = codec, offset, rate, options
        times = np.arange(round(seconds * rate)) / rate + offset
        self.samples = np.zeros(len(times), np.float32)
        for beep in beeps:
            on = (times >= beep) & (times < beep + 0.08)
            self.samples[on] = 0.8 * np.sin(2 * np.pi * BEEP_HZ * times[on])

    def add_to(self, output: Any) -> Any:
        stream = output.add_stream(self.codec, rate=self.rate, options=self.options)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = "fltp" if self.codec in ("aac", "ac3", "libmp3lame") else "s16"
        stream.codec_context.time_base = Fraction(1, self.rate)
        return stream

    def encoded(self, stream: Any) -> list[Any]:
        context = stream.codec_context
        context.open(strict=False)
        size = context.frame_size or 1024
        packets = []
        for start in range(0, len(self.samples), size):
            samples = self.samples[start : start + size]
            if context.frame_size:
                samples = np.pad(samples, (0, size - len(samples)))
            if context.format.name.startswith("s16"):
                samples = (samples * 32767).astype(np.int16)
            frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format=context.format.name, layout="mono")
            frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
            frame.pts = start + round(self.offset * self.rate)
            packets += stream.encode(frame)
        return packets + stream.encode()


class OneWay(io.RawIOBase):
    """A source that cannot seek, as bytes from a network are, and counts what was read."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.taken += len(data)
        return data


def read_all(source: Any, **settings: Any) -> tuple[VideoInfo, list[Picture], list[AudioPacket], list[str]]:
    """Return everything that ``open_video`` gives for ``source`` (bytes are taken for a file's contents)."""
    with open_video(io.BytesIO(source) if isinstance(source, bytes) else source, **settings) as reader:
        items = list(reader.read())
    pictures = [item for item in items if isinstance(item, Picture)]
    return reader.info, pictures, [item for item in items if isinstance(item, AudioPacket)], reader.notes


def header_of(info: VideoInfo) -> pb.StreamHeader:
    """Return the stream header that an encoder would write."""
    return pb.StreamHeader(
        width=info.width,
        height=info.height,
        frame_rate_numerator=info.frame_rate.numerator,
        frame_rate_denominator=info.frame_rate.denominator,
        pixel_aspect_numerator=info.pixel_aspect.numerator,
        pixel_aspect_denominator=info.pixel_aspect.denominator,
        color_primaries=info.color_primaries,
        color_transfer=info.color_transfer,
        color_matrix=info.color_matrix,
        full_range=info.full_range,
        audio=info.audio_track,
    )
