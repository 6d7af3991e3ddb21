"""The project's own test clip: two shots with depth, texture, moving things and sound, the same on every run."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame

from examples.demo.shots import HEIGHT, WIDTH, Lake, Village
from examples.demo.sound import RATE, soundtrack

FRAME_RATE = 24
SHOTS = ((Village, 5.0), (Lake, 3.0))
"""The shots and how long they last, in seconds."""


def render(path: Path, say: Callable[[int, int], None]) -> Path:
    """Write the clip to ``path`` as MP4 and return the path.

    Args:
        path: where to; a file that is there already is kept as it is.
        say: called with the number of frames rendered and their total.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w", options={"movflags": "faststart"}) as container:
        _write(container, say)
    return unfinished.replace(path)


def _frames() -> Iterator[VideoFrame]:
    for shot, seconds in SHOTS:
        paint = shot()
        for index in range(round(seconds * FRAME_RATE)):
            rgb = np.rint(np.clip(paint(index / FRAME_RATE), 0, 1) * 255).astype(np.uint8)
            yield VideoFrame.from_ndarray(rgb, "rgb24")


def _write(container: OutputContainer, say: Callable[[int, int], None]) -> None:
    """Encode pictures and sound finely enough to serve as an original."""
    options = {"crf": "12", "preset": "veryfast", "colorprim": "bt709", "transfer": "bt709", "colormatrix": "bt709"}
    video = container.add_stream("libx264", rate=FRAME_RATE, options=options)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    video.color_primaries, video.color_trc, video.colorspace, video.color_range = 1, 1, 1, 1
    audio = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=128_000)
    total = round(sum(seconds for _, seconds in SHOTS) * FRAME_RATE)
    sound = soundtrack(*(seconds for _, seconds in SHOTS))
    per_frame = RATE // FRAME_RATE
    for number, picture in enumerate(_frames()):
        frame = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
        container.mux(video.encode(frame))
        part = np.ascontiguousarray(sound[:, number * per_frame : (number + 1) * per_frame])
        samples = AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = RATE, number * per_frame, Fraction(1, RATE)
        container.mux(audio.encode(samples))
        say(number + 1, total)
    container.mux(video.encode())
    container.mux(audio.encode())
