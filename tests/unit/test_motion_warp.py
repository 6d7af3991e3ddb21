import cv2
import numpy as np
import pytest

from cmvc.media.picture import Picture
from cmvc.motion.track import Control, Gap, MotionTrack, Side, decode_track
from cmvc.motion.warp import GapWarper, warp_segment
from cmvc_encoder.coding.motion_search import MotionPlanner, MotionSettings

WIDTH, HEIGHT = 160, 96


def texture(width, height, seed=1):
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(120 + 40 * smooth / smooth.std(), 16, 235).astype(np.uint8)


def picture(y):
    chroma = np.full(((y.shape[0] + 1) // 2, (y.shape[1] + 1) // 2), 128, np.uint8)
    return Picture(y, chroma, chroma)


def pan(frames, dx, dy):
    """A window over a large texture that moves by (dx, dy) pixels per frame."""
    large = texture(WIDTH + 200, HEIGHT + 100)
    origin = [(100 + round(k * dx), 50 + round(k * dy)) for k in range(frames)]
    return [picture(np.ascontiguousarray(large[y : y + HEIGHT, x : x + WIDTH])) for x, y in origin]


def uniform(rows, columns, x, y):
    return np.full((rows, columns, 2), (x, y), np.int16)


def error(a, b, margin=16):
    inner = slice(margin, -margin)
    return np.abs(a.y[inner, inner].astype(float) - b.y[inner, inner]).mean()


def test_a_translated_texture_comes_back_where_it_should_be():
    frames = pan(17, 4, -2)  # 64 x 32 pixels between the anchors: far beyond what alignment alone could find
    unit = WIDTH / 4096
    half = (round(8 * 4 / (unit * 16)), round(8 * -2 / (unit * 16)))
    control = Control(uniform(6, 10, *half), uniform(6, 10, -half[0], -half[1]), np.zeros((6, 10), np.uint8))
    track = MotionTrack(10, 6, 16, (Gap(True, (control,)),))
    shown = list(warp_segment([(0, frames[0]), (16, frames[16])], track, 16))
    assert len(shown) == 16
    assert shown[0] is frames[0]
    still = list(warp_segment([(0, frames[0]), (16, frames[16])], None, 16))
    for k in (4, 8, 12):
        assert error(shown[k], frames[k], 34) < 3
        assert error(still[k], frames[k], 34) > 15


def test_measured_motion_finds_a_pan_and_costs_little():
    frames = pan(17, 4, -2)
    planner = MotionPlanner([frame.y for frame in frames])
    track, data = planner.track([0, 16], None, MotionSettings(1 / 10, 8, 3, 20000.0))
    assert len(data) < 110
    assert decode_track(data).gaps[0].controls[1].to_opening.tolist() == track.gaps[0].controls[1].to_opening.tolist()
    shown = list(warp_segment([(0, frames[0]), (16, frames[16])], track, 16))
    for k in (4, 8, 12):
        assert error(shown[k], frames[k], 34) < 4


def flat(value):
    return picture(np.full((HEIGHT, WIDTH), value, np.uint8))


@pytest.mark.parametrize(("side", "value"), [(Side.OPENING, 40), (Side.CLOSING, 200)])
def test_the_side_mask_picks_the_anchor_and_nothing_of_the_other(side, value):
    still = uniform(6, 10, 0, 0)
    gap = Gap(True, (Control(still, still, np.full((6, 10), side, np.uint8)),))
    shown = GapWarper(flat(40), flat(200), gap, 1, 8).at(4)
    np.testing.assert_allclose(shown.y, value, atol=1)


def test_an_object_that_appears_is_taken_from_the_closing_anchor():
    ground = texture(WIDTH, HEIGHT)
    frames = [picture(ground.copy()) for _ in range(9)]
    for frame in frames[4:]:
        frame.y[32:64, 48:96] = 230
    planner = MotionPlanner([frame.y for frame in frames])
    track, _ = planner.track([0, 8], None, MotionSettings(1 / 10, 8, 1, 2000.0))
    side = track.gaps[0].controls[0].side
    assert (side[2:4, 3:6] == Side.CLOSING).all()
    shown = GapWarper(frames[0], frames[8], track.gaps[0], track.step, 8).at(4)
    assert shown.y[40:56, 56:88].mean() > 215


def test_edges_are_not_doubled_where_the_anchors_disagree():
    opening, closing = flat(100), flat(100)
    opening.y[:, 20:30] = 220
    closing.y[:, 120:130] = 220
    shown = GapWarper(opening, closing, None, 1, 20).at(5)
    assert shown.y[:, 22:28].mean() > 210
    assert shown.y[:, 122:128].mean() < 110


def test_without_a_closing_anchor_motion_goes_forward():
    frames = pan(9, 4, 0)
    unit = WIDTH / 4096
    control = Control(uniform(6, 10, round(4 * 4 / (unit * 16)), 0))
    track = MotionTrack(10, 6, 16, (Gap(False, (control,)),))
    shown = list(warp_segment([(0, frames[0])], track, 8))
    assert len(shown) == 8
    for k in (2, 4, 7):
        assert error(shown[k], frames[k], 36) < 4


def test_a_two_sided_track_still_serves_when_the_closing_anchor_is_missing():
    frames = pan(9, 4, 0)
    half = round(4 * 4 / (WIDTH / 4096 * 16))
    control = Control(uniform(6, 10, half, 0), uniform(6, 10, -half, 0), np.zeros((6, 10), np.uint8))
    track = MotionTrack(10, 6, 16, (Gap(True, (control,)),))
    shown = list(warp_segment([(0, frames[0])], track, 8))
    assert error(shown[6], frames[6], 32) < 3


def test_every_anchor_is_shown_as_it_is():
    frames = pan(9, 3, 1)
    shown = list(warp_segment([(0, frames[0]), (4, frames[4]), (8, frames[8])], None, 9))
    assert [shown[k] is frames[k] for k in range(9)] == [k in (0, 4, 8) for k in range(9)]
