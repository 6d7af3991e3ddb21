"""Small videos that the tests make for themselves, with sounds, subtitles, chapters and a title."""

import io
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from media_files import BEEP_HZ, RATE
from numpy.typing import NDArray

SAMPLES = 48_000  # per second
Samples = NDArray[np.float32]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLES), np.float32)


def sine(seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLES)) / SAMPLES)).astype(np.float32)


def noise(seconds: float) -> Samples:
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * SAMPLES)).astype(np.float32)


def speech_like(seconds: float) -> Samples:
    """Return a buzz of 120 Hz through moving formants, in syllables of which every fourth is a pause."""
    time = np.arange(round(seconds * SAMPLES)) / SAMPLES
    buzz = sum(
        np.sin(2 * np.pi * 120 * k * time) / (1 + ((120 * k - 900 - 500 * np.sin(5 * time)) / 300) ** 2)
        for k in range(1, 30)
    )
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (np.floor(4 * time) % 4 < 3)
    return (0.2 * buzz * syllables).astype(np.float32)


def beeps(seconds: float, at: Iterable[float]) -> Samples:
    """Return beeps of 80 ms in silence."""
    time = np.arange(round(seconds * SAMPLES)) / SAMPLES
    on = np.any([(time >= start) & (time < start + 0.08) for start in at], axis=0)
    return np.where(on, 0.8 * np.sin(2 * np.pi * BEEP_HZ * time), 0).astype(np.float32)


@dataclass(frozen=True)
class Track:
    """One mono track of sound."""

    samples: Samples
    language: str = ""
    codec: str = "pcm_s16le"
    bits_per_second: int = 0
    last_at: float = 0.0  # seconds at which the last packet stands; 0 for where it belongs


def write_video(
    frames: Sequence[VideoFrame],
    tracks: Sequence[Track],
    *,
    container: str = "matroska",
    codec: str = "libx264",
    subtitles: Sequence[str] = (),
    chapters: Sequence[tuple[float, str]] = (),
    title: str = "",
) -> bytes:
    """Return a file of ``frames`` at 24 a second, with ``subtitles`` of these languages and ``chapters`` from these
    seconds on.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=container) as output:
            if title:
                output.metadata["title"] = title
            if chapters:
                output.set_chapters(_chapters(chapters, len(frames) / RATE))
            streams: list[tuple[Any, Any]] = [(_add_picture(output, frames[0], codec), None)]
            streams += [(_add_track(output, track), track) for track in tracks]
            packets = [_subtitle(output, language) for language in subtitles]
            for stream, track in streams:
                packets += _encoded(stream, frames if track is None else list(_parts(stream, track.samples)))
                if track is not None and track.last_at:
                    packets[-1].pts = packets[-1].dts = round(track.last_at / packets[-1].time_base)
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
            output.mux(packets)
        return path.read_bytes()


def _add_picture(output: Any, first: VideoFrame, codec: str) -> Any:
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    stream = output.add_stream(codec, rate=RATE, options=options)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
    context.time_base = 1 / RATE
    return stream


def _add_track(output: Any, track: Track) -> Any:
    stream = output.add_stream(track.codec, rate=SAMPLES)
    context = stream.codec_context
    context.layout, context.time_base = "mono", Fraction(1, SAMPLES)
    context.format = "fltp" if track.codec == "aac" else "s16"
    if track.bits_per_second:
        context.bit_rate = track.bits_per_second
    if track.language:
        stream.metadata["language"] = track.language
    return stream


def _subtitle(output: Any, language: str) -> Any:
    """Add a track with one subtitle; return its packet."""
    text = io.BytesIO(b"1\n00:00:00,500 --> 00:00:01,500\nHello\n\n")
    with av.open(text, format="srt") as source:
        packet = next(iter(source.demux()))
        packet.stream = output.add_stream_from_template(source.streams.subtitles[0])
        packet.stream.metadata["language"] = language
    return packet


def _parts(stream: Any, samples: Samples) -> Iterable[AudioFrame]:
    context = stream.codec_context
    context.open(strict=False)
    size = context.frame_size or 1024
    for start in range(0, len(samples) - size + 1, size):
        part = samples[start : start + size]
        part = part if context.format.name == "fltp" else (part * 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(part.reshape(1, -1), format=context.format.name, layout="mono")
        frame.sample_rate = SAMPLES
        yield frame


def _encoded(stream: Any, frames: Sequence[Any]) -> list[Any]:
    packets, done = [], 0
    for frame in frames:
        frame.pts, frame.time_base = done, stream.codec_context.time_base
        done += frame.samples if isinstance(frame, AudioFrame) else 1
        packets += stream.encode(frame)
    return packets + stream.encode()


def _chapters(chapters: Sequence[tuple[float, str]], end: Fraction) -> list[Any]:
    ends = [start for start, _ in chapters[1:]] + [float(end)]
    return [
        {
            "id": number,
            "start": round(1000 * start),
            "end": round(1000 * until),
            "time_base": Fraction(1, 1000),
            "metadata": {"title": name},
        }
        for number, ((start, name), until) in enumerate(zip(chapters, ends, strict=True))
    ]


def sound_of(data: bytes, decoder: str = "") -> tuple[Samples, Samples]:
    """Return when and what is heard in a file's first track of sound, decoded by FFmpeg's decoder of that name."""
    times, samples = [], []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        context: Any = stream.codec_context
        if decoder:
            context = av.CodecContext.create(decoder, "r")
            context.extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            for frame in context.decode(packet if packet.size else None):
                sound = frame.to_ndarray().astype(np.float32).reshape(frame.layout.nb_channels, -1, order="F")[0]
                samples.append(sound / 32768 if frame.format.name.startswith("s16") else sound)
                times.append(float(frame.pts * packet.time_base) + np.arange(len(sound)) / frame.sample_rate)
    return np.concatenate(times), np.concatenate(samples)


def beeps_in(data: bytes, decoder: str = "") -> list[float]:
    """Return when beeps start in a file."""
    time, sound = sound_of(data, decoder)
    loud = time[np.abs(sound) > 0.15]
    return [float(start) for start, before in zip(loud, [-9.0, *loud], strict=False) if start - before > 0.5]


def heard_of(data: bytes) -> tuple[NDArray[np.float64], int, list[float]]:
    """Return the sound of a video as a player hears it from time 0 on, its rate, and the times of the pictures."""
    with av.open(io.BytesIO(data)) as container:
        rate = container.streams.audio[0].rate
        heard = [(round(frame.time * rate), frame.to_ndarray()[0].astype(float)) for frame in container.decode(audio=0)]
    with av.open(io.BytesIO(data)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    sound = np.zeros(max(at + len(samples) for at, samples in heard))
    for at, samples in heard:
        sound[max(at, 0) : max(at + len(samples), 0)] = samples[max(-at, 0) :]
    return sound, rate, times
