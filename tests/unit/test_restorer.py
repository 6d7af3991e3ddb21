"""The restorer: one size for every picture, a stream that says so, and a decoder that can do without."""

import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from media_files import moving_frames, write_video
from streams import bytes_of

from cmvc.bitstream.av1pack.first_headers import first_quantiser
from cmvc.bitstream.av1pack.payload import pack
from cmvc.bitstream.modes import mode_of
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader
from cmvc.control import Control
from cmvc.errors import BitstreamError, InvalidSettingError, MissingServiceError
from cmvc.media import av1
from cmvc.media.picture import Picture, chroma_size
from cmvc.media.scaling import resize
from cmvc.restoration import restorer as restorer_module
from cmvc.restoration.condition import condition
from cmvc.restoration.restorer import load_restorer
from cmvc.restoration.size import MOST_PIXELS, restored_size
from cmvc.settings import decode_config, encode_config
from cmvc.v1 import common_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode
from cmvc_encoder.pipeline import encode

pytest.importorskip("onnxruntime")


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    small = chroma_size(width, height)
    coarse = rng.integers(40, 200, (height // 8 + 1, width // 8 + 1), np.uint8)
    luma = np.kron(coarse, np.ones((8, 8), np.uint8))[:height, :width]
    return Picture(luma, *(np.full(small[::-1], 120 + k, np.uint8) for k in range(2)))


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(24, width=192, height=128))


def encoded(video, mode, **settings):
    return bytes_of(encode(io.BytesIO(video), encode_config(mode=mode, bitrate="3k", **settings), Control()))


def decoded(stream, tmp_path, **settings):
    executor = InProcessExecutor(("embedded",), tmp_path, ())
    return bytes_of(decode(io.BytesIO(stream), decode_config(output="y4m", **settings), Control(), executor))


@pytest.mark.parametrize("size", [(64, 48), (66, 50), (33, 35)])
def test_pictures_of_any_size_keep_it_and_change_little(size):
    given = picture(*size)
    shown = load_restorer("fidelity").restore(given, given, given, condition(0.5, 200))
    assert [plane.shape for plane in shown.planes] == [plane.shape for plane in given.planes]
    assert shown.y.dtype == np.uint8
    assert 0 < np.abs(shown.y.astype(int) - given.y).mean() < 8


def test_the_same_pictures_give_the_same_ones():
    coded = [picture(64, 48, seed) for seed in range(3)]
    first, second = (list(load_restorer("fidelity").restored(coded, 128, 96, 200)) for _ in range(2))
    assert len(first) == 3
    assert all(np.array_equal(a.y, b.y) for a, b in zip(first, second, strict=True))


def test_a_picture_is_restored_with_its_neighbours():
    coded = [picture(64, 48, seed) for seed in range(3)]
    restorer = load_restorer("fidelity")
    shown = list(restorer.restored(coded, 64, 48, 200))
    before, now, after = (resize(each, 64, 48) for each in coded)
    assert np.array_equal(shown[1].y, restorer.restore(before, now, after, condition(1.0, 200)).y)
    assert np.array_equal(shown[2].y, restorer.restore(now, after, after, condition(1.0, 200)).y)


def test_pictures_that_were_coded_large_are_scaled_alone():
    """The network takes memory and time by their pixels, and nothing can stop it."""
    large = picture(1930, 1090, 1)
    (shown,) = load_restorer("fidelity").restored([large], 96, 54, 200)
    assert np.array_equal(shown.y, resize(large, 96, 54).y)


def test_a_size_that_changes_in_the_stream_is_no_defect():
    shown = list(load_restorer("fidelity").restored([picture(640, 360, 1), picture(1280, 720, 2)], 1280, 720, 200))
    assert [(each.width, each.height) for each in shown] == [(1280, 720)] * 2


@pytest.mark.parametrize(
    ("shown", "coded", "at"),
    [
        ((854, 480), (214, 120), (854, 480)),
        ((1920, 1080), (480, 270), (960, 540)),
        ((1920, 1080), (1920, 1080), (1920, 1080)),
    ],
)
def test_large_pictures_are_restored_small(shown, coded, at):
    assert restored_size(shown, coded) == at
    assert at[0] * at[1] <= max(MOST_PIXELS, coded[0] * coded[1])


@pytest.mark.parametrize("packed", [False, True])
def test_the_quantiser_is_read_from_the_data(packed):
    pictures = [picture(64, 64, seed) for seed in range(4)]
    fine, coarse = (av1.encode(pictures, frame_rate=Fraction(24), crf=crf, preset=10) for crf in (20, 60))
    levels = [first_quantiser(pack(each) if packed else each) for each in (fine, coarse)]
    assert 0 < levels[0] < levels[1] <= 255
    with pytest.raises(BitstreamError):
        first_quantiser(b"\x12\x00")


def test_vt2v_says_that_it_is_restored_and_its_stream_does_not_grow_by_a_table(video):
    reader = StreamReader(io.BytesIO(encoded(video, "vt2v")))
    assert [placed.segment.profile for placed in reader.segments()] == [1]
    assert (reader.profiles, reader.profile_bytes) == (DEFAULT_PROFILES, 0)


def test_off_is_plain_and_so_is_the_embedded_profile_by_name(video, tmp_path):
    restored, plain = encoded(video, "vt2v"), encoded(video, "vt2v", settings={"restorer": "off"})
    assert [placed.segment.profile for placed in StreamReader(io.BytesIO(plain)).segments()] == [0]
    assert decoded(restored, tmp_path) != decoded(restored, tmp_path, profile="embedded")
    assert decoded(plain, tmp_path) == decoded(plain, tmp_path, profile="embedded")


def test_an_unknown_restorer_is_refused(video):
    with pytest.raises(InvalidSettingError, match="fidelity or off"):
        encoded(video, "vt2v", settings={"restorer": "magic"})


def test_coded_loads_no_restorer(video, tmp_path):
    stream = tmp_path / "a.cmvc"
    stream.write_bytes(encoded(video, "coded"))
    code = f"""
import io, sys
from pathlib import Path
from cmvc.control import Control
from cmvc.settings import decode_config
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode
executor = InProcessExecutor(("embedded",), Path(), ())
data = io.BytesIO(Path({str(stream)!r}).read_bytes())
list(decode(data, decode_config(output="y4m"), Control(), executor))
print("onnxruntime" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_without_onnx_runtime_it_is_said_what_to_do(video, tmp_path, monkeypatch):
    stream = encoded(video, "vt2v")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    restorer_module._loaded.cache_clear()
    with pytest.raises(MissingServiceError, match=r"pip install.*restoration.*--profile embedded"):
        decoded(stream, tmp_path)
    assert decoded(stream, tmp_path, profile="embedded")


def test_a_choice_of_modes_takes_vt2v_only_where_it_measures_better(video):
    modes = {mode_of(placed.segment) for placed in StreamReader(io.BytesIO(encoded(video, "auto"))).segments()}
    assert modes <= {common_pb2.MODE_VT2V, common_pb2.MODE_CODED, common_pb2.MODE_IT2V}
