"""What Matroska says is not shown is not shown."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import OneWay, numbered_frames, read_all, write_video

from cmvc.media.crop import Crop, read_crops

WIDTH, HEIGHT = 64, 48


def _element(kind: str, body: bytes) -> bytes:
    return bytes.fromhex(kind) + b"\x01" + len(body).to_bytes(7, "big") + body


def _number(kind: str, value: int) -> bytes:
    return _element(kind, value.to_bytes(2, "big"))


def _matroska(crop: Crop, picture: bytes) -> bytes:
    sides = _number("54BB", crop.top) + _number("54CC", crop.left)
    sides += _number("54AA", crop.bottom) + _number("54DD", crop.right)
    video = _element("E0", _number("B0", WIDTH) + _number("BA", HEIGHT) + sides)
    track = _number("D7", 1) + _number("73C5", 1) + _element("83", b"\x01") + _element("86", b"V_MJPEG") + video
    head = _number("4286", 1) + _number("42F7", 1) + _number("42F2", 4) + _number("42F3", 8)
    head += _element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2)
    data = _element("1A45DFA3", head) + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7
    data += _element("1549A966", _element("2AD7B1", (1_000_000).to_bytes(4, "big")))
    data += _element("1654AE6B", _element("AE", track))
    for time in range(0, 200, 40):
        data += _element("1F43B675", _number("E7", time) + _element("A3", b"\x81\0\0\x80" + picture))
    return data


@pytest.mark.parametrize(
    ("crop", "width", "height", "left", "top"),
    [
        (Crop(2, 4, 6, 8), 52, 40, 4, 2),
        (Crop(3, 5, 1, 0), 58, 44, 4, 2),  # as FFmpeg: whole samples of chroma
        (Crop(left=7), 56, 48, 6, 0),
        (Crop(), 64, 48, 0, 0),
    ],
)
@pytest.mark.parametrize("from_pipe", [False, True])
def test_cropped_rows_and_columns_stay_away(crop, width, height, left, top, from_pipe) -> None:
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    encoded, picture = cv2.imencode(".jpg", cv2.resize(small, (WIDTH, HEIGHT)), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert encoded
    data, plain = (_matroska(each, picture.tobytes()) for each in (crop, Crop()))
    info, pictures, _, notes = read_all(OneWay(data) if from_pipe else data)
    assert (info.width, info.height) == (pictures[0].width, pictures[0].height) == (width, height)
    _, whole, _, _ = read_all(plain)
    assert np.array_equal(pictures[0].y, whole[0].y[top : top + height, left : left + width])
    assert pictures[0].u.shape == (height // 2, width // 2)
    assert notes == []


def test_a_crop_of_everything_is_none() -> None:
    assert Crop(40, 0, 40, 0).size(WIDTH, HEIGHT) == (WIDTH, HEIGHT)


def test_a_file_of_another_muxer_has_no_crop() -> None:
    assert set(read_crops(write_video(numbered_frames(2)))) == {Crop()}


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_some_end(head: bytes) -> None:
    assert read_crops(b"\x1a\x45\xdf\xa3" + head) is not None
    for crop in read_crops(_matroska(Crop(), b"")[:150] + head):
        assert min(crop.size(WIDTH, HEIGHT)) > 0
