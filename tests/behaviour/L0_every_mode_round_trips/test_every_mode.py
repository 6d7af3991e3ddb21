"""A video comes back in every mode with its size, frames, time and pixel aspect, upright; every byte is counted."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cmvc.bitstream.modes import MODES_BY_NAME
from cmvc.client import Client
from cmvc.v1 import decoder_pb2, encoder_pb2

RATE = Fraction(24)
FRAMES = 84
PARTS = ("preamble_bytes", "header_bytes", "profile_table_bytes", "trailer_bytes", "unknown_bytes")


def painted(t: int) -> np.ndarray:
    """Return a frame of a textured backdrop that pans, with a red disc that crosses it."""
    noise = np.random.default_rng(1).integers(60, 180, (23, 60), np.uint8)
    wide = np.kron(noise, np.ones((8, 8), np.uint8))
    frame = np.repeat(wide[:180, t : t + 320, None], 3, axis=2)
    rows, columns = np.mgrid[0:180, 0:320]
    frame[(rows - 90) ** 2 + (columns - 30 - 3 * t) ** 2 < 25**2] = (210, 40, 40)
    return frame


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(-90)
        for t in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(painted(t), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module", params=["tt2v", "it2v", "vt2v", "coded", "auto"])
def coded(request, clip, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.cmvc"
    config = encoder_pb2.EncodeConfig(mode=MODES_BY_NAME.get(request.param, 0), bits_per_second=16_000)
    with Client() as client:
        client.encode(clip, path, config)
    return path


def test_the_parts_add_up_to_the_file(coded):
    with Client() as client:
        told = client.inspect(coded)
    totals = told["totals"]
    size = coded.stat().st_size
    assert totals["bytes"] == size
    assert sum(totals["segment_bytes"].values()) + sum(totals[part] for part in PARTS) == size
    assert sum(sum(segment["bytes"].values()) for segment in told["segments"]) == sum(totals["segment_bytes"].values())
    assert totals["frames"] == FRAMES
    assert coded.stem == "auto" or {segment["mode"] for segment in told["segments"]} == {coded.stem}


def test_mp4_has_the_sources_shape(coded, tmp_path):
    with Client() as client:
        client.decode(coded, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.width, stream.height) == (180, 320)
        assert stream.sample_aspect_ratio == Fraction(3, 4)
        assert frames[0].rotation == 0
        assert [frame.pts * frame.time_base for frame in frames] == [n / RATE for n in range(FRAMES)]


def test_pictures_resemble_the_source(coded):
    if coded.stem == "tt2v":
        return  # painted from text, it resembles in kind only; tests/unit/test_tt2v_render.py says how
    raw = io.BytesIO()
    with Client() as client:
        client.decode(coded, raw, decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_Y4M))
    raw.seek(0)
    with av.open(raw, format="yuv4mpegpipe") as container:
        shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    wrong = [np.abs(shown[t].astype(int) - _gray(t)).mean() for t in (0, 20, 40, 60, 80)]
    still = [np.abs(shown[t].astype(int) - _gray(0)).mean() for t in (40, 60, 80)]
    assert max(wrong) < 15, wrong
    assert max(wrong[2:]) < min(still) / 1.5, "it does not move as the source does"


def _gray(t: int) -> np.ndarray:
    upright = np.rot90(painted(t), -1)  # as the clip says
    return (
        av.VideoFrame.from_ndarray(np.ascontiguousarray(upright), format="rgb24").to_ndarray(format="gray").astype(int)
    )
