import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import closes_shot, frame_count
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader, StreamWriter
from cmvc.bitstream.text import decode_text, encode_text
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.profiles.profile import FrameRule
from cmvc.profiles.registry import MODEL_PROFILES, PROFILES
from cmvc.profiles.wan_vace import PROFILE as WAN
from cmvc.scene.grammar import read_scene
from cmvc.scene.palette import palette, rgb_to_yuv
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_decoder.conditions import scene_seed
from cmvc_decoder.diffusion.grid import plan
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.embedded.tt2v import render
from cmvc_encoder.coding.tt2v import Tt2vCoder, model_runs, segment_runs
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description
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


@pytest.mark.parametrize(
    ("frames", "runs"),
    [(1, [1]), (81, [81]), (82, [41, 41]), (121, [61, 60]), (122, [81, 41]), (240, [81, 81, 78]), (243, [81] * 3)],
)
def test_segments_for_a_model_are_never_longer_than_its_window(frames, runs):
    assert model_runs(frames, 81) == runs


def test_a_models_window_is_a_segment():
    rate = Fraction(24)
    able = [each for each in PROFILES.values() if common_pb2.MODE_TT2V in each.modes]
    longest = {each.id: each.text_frames(rate) for each in able}
    assert longest == {"embedded": 48, "wan-vace-1.3b": 81, "ltx-video": 121, "animatediff": 46, "videocrafter2": 46}
    for facts in (each for each in able if each.id in MODEL_PROFILES):
        planned = plan(grid=facts.grid, width=854, height=480, frames=longest[facts.id], frame_rate=rate)
        assert (planned.windows, planned.window_frames) == ((0,), facts.grid.frames.most)
        assert facts.text_frames(Fraction(1)) <= 10


class Told:
    """Tells what it is given, whole each time."""

    id = "told"

    def __init__(self, *texts):
        self.texts = [Description(*text.split("|")) for text in texts]

    def prepare(self, window, runs):
        pass

    def describe(self, window, frames, max_bytes=120, said=None):
        return self.texts.pop(0)


def test_all_segments_of_a_shot_carry_its_first_content(moving):
    """Three segments in two windows of a shot, then another shot; what a reader makes of them is said in full."""
    told = Told("A red ball|It rolls.", "A blue box|It rolls on.", "A green cone|It rolls on.", "A black cat|")
    facts = replace(WAN, grid=replace(WAN.grid, frames=FrameRule(4, 1, 5, 13)))  # 13 frames at 12 a second
    coder, pictures = Tt2vCoder(told, facts), moving[:26]
    first = replace(window(pictures), closes_shot=False, following=moving[26])
    second = replace(window(pictures[:13]), first_frame=26, opens_shot=False)
    third = replace(window(pictures[:13]), first_frame=39)
    segments = [part for each in (first, second, third) for part in coder.encode(each, 300, Control()).segments]
    writer = StreamWriter(pb.StreamHeader(width=160, height=90, frame_rate_numerator=12, seed=7), DEFAULT_PROFILES)
    stream = writer.open() + b"".join(map(writer.write, segments)) + writer.close()
    placed = list(StreamReader(io.BytesIO(stream)).segments())
    texts = [each.text or decode_text(each.segment.text) for each in placed]
    assert texts == ["A red ball\nIt rolls.", "A red ball\nIt rolls on.", "A red ball\nIt rolls on.", "A black cat"]
    assert decode_text(placed[1].segment.text) == "\nIt rolls on."
    seeds = [scene_seed(7, text) for text in texts]
    assert seeds[0] == seeds[1] == seeds[2] != seeds[3]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 90), (33, 7)])
def test_odd_pictures_are_described(width, height):
    small = Picture(
        np.full((height, width), 90, np.uint8),
        *(np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8) for _ in range(2)),
    )
    assert "grey" in EmbeddedExtractor().describe_pictures([small], RATE).content
