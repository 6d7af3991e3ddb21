"""Streams for the generator profiles: real coding of a real clip, with settings small enough for tiny models."""

import io
import os
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from streams import bytes_of

from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import segment_request
from cmvc.control import Control
from cmvc.profiles.registry import model_profile
from cmvc.settings import encode_config
from cmvc.v1 import decoder_pb2
from cmvc_encoder.pipeline import encode

WIDTH, HEIGHT, FRAMES, RATE = 190, 106, 26, Fraction(24)  # odd for every native grid
PIXELS = 64 * 96  # of native frames: what tiny models can do in no time
MODES = {
    "wan-vace-1.3b": ("tt2v", "it2v", "vt2v", "coded"),
    "ltx-video": ("tt2v", "it2v", "coded"),
    "animatediff": ("tt2v", "it2v", "coded"),
    "videocrafter2": ("tt2v", "coded"),
    "swiftvr": ("vt2v", "coded"),
}
BITRATES = {"tt2v": "2k", "it2v": "12k", "vt2v": "16k", "coded": "16k"}


def _source() -> list[np.ndarray]:
    """Return frames of a real clip where there is one, else of a painted one."""
    path = Path(os.environ.get("CMVC_CLIPS", "../shared/clips")) / "dev" / "davis_car-roundabout.mp4"
    if path.exists():
        with av.open(str(path)) as container:
            frames = [frame.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray() for frame in container.decode(video=0)]
            return frames[:FRAMES]
    noise = np.random.default_rng(1).integers(60, 180, (HEIGHT // 8 + 1, 40), np.uint8)
    wide = np.repeat(np.kron(noise, np.ones((8, 8), np.uint8))[:HEIGHT, :, None], 3, axis=2)
    return [np.ascontiguousarray(wide[:, 2 * t : 2 * t + WIDTH]) for t in range(FRAMES)]


@cache
def clip() -> bytes:
    """Return the clip as a file."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in _source():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


@cache
def stream(profile: str, mode: str, steps: int = 2) -> bytes:
    """Return the clip's stream in one mode, made for a profile."""
    settings = {} if profile == "embedded" else {"pixels": str(PIXELS), "guidance": "1"}
    if settings and model_profile(profile).reads_text:  # else there is one step
        settings["steps"] = str(steps)
    config = encode_config(mode=mode, bitrate=BITRATES[mode], profile=profile, settings=settings)
    return bytes_of(encode(io.BytesIO(clip()), config, Control()))


def requests(data: bytes, output: str = "y4m") -> list[decoder_pb2.DecodeSegmentRequest]:
    """Return the work of each segment of a stream."""
    formats = {"y4m": decoder_pb2.OUTPUT_FORMAT_Y4M, "mp4": decoder_pb2.OUTPUT_FORMAT_FMP4}
    reader = StreamReader(io.BytesIO(data))
    config = decoder_pb2.DecodeConfig(format=formats[output])
    return [segment_request(reader, placed, config) for placed in reader.segments()]
