from fractions import Fraction

import numpy as np
import pytest

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import closes_shot, frame_count
from cmvc.bitstream.text import decode_text, encode_text
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.scene.grammar import read_scene
from cmvc.scene.palette import palette, rgb_to_yuv
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.embedded.tt2v import render
from cmvc_encoder.coding.tt2v import Tt2vCoder, segment_runs
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.embedded import EmbeddedExtractor

RATE = Fraction(12)


def painted(text, count=24):
    return list(render(Conditions(common_pb2.MODE_TT2V, 160, 90, count, RATE, 3, text), Control()))


def window(pictures):
    return Window(pictures, 0, 160, 90, RATE, opens_shot=True, closes_shot=True, following=None)


SCENE = (
    "Pale azure sky background, huge long green grass bottom, dark red patch inner left, small white patch high right, "
    "tall black figure centre.\nThe black figure moves right slowly."
)


@pytest.fixture(scope="module")
def moving():
    return painted(SCENE, 60)


@pytest.mark.parametrize("most", [0, 1, 8, 25, 40, 80, 150, 300])
def test_a_description_keeps_its_bound(moving, most):
    found = EmbeddedExtractor().describe_pictures(moving[:24], RATE, most)
    assert len(encode_text(found.text)) <= most


def test_more_bytes_tell_more(moving):
    texts = [EmbeddedExtractor().describe_pictures(moving[:24], RATE, most).text for most in (20, 50, 90)]
    assert len(texts[0]) < len(texts[1]) < len(texts[2])


def test_colours_come_back(moving):
    """What is measured of a flat picture is the colour that it was painted in."""
    for name in ("dark red", "vivid blue", "pale green", "charcoal", "brown"):
        y, u, v = np.rint(rgb_to_yuv(palette()[name])).astype(np.uint8)
        flat = Picture(np.full((90, 160), y), np.full((45, 80), u), np.full((45, 80), v))
        found = EmbeddedExtractor().describe_pictures([flat] * 4, RATE)
        assert read_scene(found.text).background.colour == name


def test_the_camera_is_seen():
    base = "Green trees background, black patch centre, white patch high left, red patch low right."
    for words, check in {
        "pans left": lambda c: c.pan == "left",
        "pans right": lambda c: c.pan == "right",
        "tilts down": lambda c: c.tilt == "down",
        "zooms in": lambda c: c.zoom == "in",
    }.items():
        found = EmbeddedExtractor().describe_pictures(painted(f"{base}\nCamera {words}."), RATE, 200)
        assert check(read_scene(found.text).camera), (words, found.motion)


def test_a_moving_thing_is_seen(moving):
    found = EmbeddedExtractor().describe_pictures(moving[:24], RATE, 200)
    assert any("right" in move.direction for move in read_scene(found.text).moves), found.motion


def test_what_is_described_looks_like_what_was_seen(moving):
    found = EmbeddedExtractor().describe_pictures(moving[:24], RATE, 200)
    shown = painted(found.text)
    wrong = painted("Vivid magenta wall background.")
    error, worst = (np.abs(moving[12].y.astype(int) - other[12].y).mean() for other in (shown, wrong))
    assert error < 0.4 * worst


@pytest.mark.parametrize("budget", [90, 200, 400])
def test_windows_stay_within_their_budget(moving, budget):
    trial = Tt2vCoder(EmbeddedExtractor()).encode(window(moving), budget, Control())
    sizes = [len(frame_packet(pb.Packet(segment=segment))) for segment in trial.segments]
    assert trial.size == sum(sizes) <= budget
    assert not trial.floor
    assert sum(frame_count(segment, 0) for segment in trial.segments) == len(moving)
    assert [closes_shot(segment) for segment in trial.segments] == [False] * (len(sizes) - 1) + [True]
    assert all(decode_text(segment.text) for segment in trial.segments)


def test_a_budget_that_is_too_small_is_owned_up_to(moving):
    trial = Tt2vCoder(EmbeddedExtractor()).encode(window(moving), 10, Control())
    assert trial.floor
    assert trial.size > 10


def test_a_large_budget_saturates_below_a_kilobit(moving):
    trial = Tt2vCoder(EmbeddedExtractor()).encode(window(moving), 100_000, Control())
    assert trial.saturated
    assert 8 * trial.size / 5 < 960  # 60 frames last 5 s


def test_quality_buys_bytes(moving):
    low, high = (Tt2vCoder(EmbeddedExtractor()).encode_quality(window(moving), q, Control()) for q in (1, 100))
    assert low.size < high.size


@pytest.mark.parametrize(
    ("frames", "runs"),
    [(1, [1]), (47, [47]), (48, [48]), (60, [60]), (72, [48, 24]), (240, [48] * 5), (245, [48] * 4 + [53])],
)
def test_segments_are_two_seconds_long(frames, runs):
    assert segment_runs(frames, 48) == runs


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 90), (33, 7)])
def test_odd_pictures_are_described(width, height):
    small = Picture(
        np.full((height, width), 90, np.uint8),
        *(np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8) for _ in range(2)),
    )
    assert "grey" in EmbeddedExtractor().describe_pictures([small], RATE).content
