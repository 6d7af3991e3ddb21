import threading
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from cmvc.bitstream.av1pack.payload import first_picture
from cmvc.bitstream.modes import mode_of
from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import closes_shot, frame_count, pack_motion, unpack_motion
from cmvc.control import Control
from cmvc.errors import CancelledError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.observer import NullObserver
from cmvc.profiles.animatediff import PROFILE as ANIMATEDIFF
from cmvc.profiles.embedded import PROFILE as EMBEDDED
from cmvc.profiles.ltx_video import PROFILE as LTX
from cmvc.profiles.videocrafter2 import PROFILE as VIDEOCRAFTER2
from cmvc.profiles.wan_vace import PROFILE as WAN
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.generators.embedded.it2v import interpolate
from cmvc_encoder.coding.effort import FAST
from cmvc_encoder.coding.it2v import It2vCoder, anchor_step, layout_of
from cmvc_encoder.coding.keyframe_images import KeyframeCoder
from cmvc_encoder.coding.measure import DEFAULT_MEASURE, MEASURES, luma_error
from cmvc_encoder.coding.quality import quality_db
from cmvc_encoder.coding.registry import Tools
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.planning.auto import AutoCoder
from cmvc_encoder.semantics.embedded import EmbeddedExtractor

WIDTH, HEIGHT, RATE = 208, 120, Fraction(12)


def scene(frames):
    """A textured ground that pans, with a bright ball that crosses it."""
    noise = np.random.default_rng(3).normal(0, 1, (HEIGHT, WIDTH + 120)).astype(np.float32)
    ground = cv2.GaussianBlur(noise, (0, 0), 4)
    ground = np.clip(110 + 30 * ground / ground.std(), 16, 235).astype(np.uint8)
    pictures = []
    for k in range(frames):
        y = np.ascontiguousarray(ground[:, 2 * k : 2 * k + WIDTH])
        cv2.circle(y, (30 + 6 * k, 60), 18, 220, -1)
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        pictures.append(Picture(y, chroma, chroma.copy()))
    return pictures


def window(pictures, following=None):
    return Window(pictures, 0, WIDTH, HEIGHT, RATE, True, following is None, following)


def shown(segment, next_anchor=b""):
    header = pb.StreamHeader(width=WIDTH, height=HEIGHT, frame_rate_numerator=12)
    request = decoder_pb2.DecodeSegmentRequest(header=header, segment=segment, next_anchor=next_anchor)
    return list(interpolate(read_conditions(request, DEFAULT_LIMITS), Control()))


def packet_bytes(trial):
    return sum(len(frame_packet(pb.Packet(segment=segment))) for segment in trial.segments)


@pytest.mark.parametrize("budget", [500, 900, 2500])
def test_a_window_ends_just_under_its_budget(budget):
    trial = It2vCoder().encode(window(scene(24)), budget, Control())
    assert trial.size == packet_bytes(trial)
    assert 0.93 * budget <= trial.size <= budget
    assert not trial.floor
    assert sum(frame_count(segment, 0) for segment in trial.segments) == 24


def test_what_the_coder_promises_is_what_a_decoder_shows():
    pictures = scene(24)
    trial = It2vCoder().encode(window(pictures), 1500, Control())
    frames = [picture for segment in trial.segments for picture in shown(segment)]
    assert len(frames) == 24
    score = MEASURES[DEFAULT_MEASURE]([(a.y, b.y) for a, b in zip(pictures, frames, strict=True)])
    assert score == pytest.approx(trial.score, abs=1.5)
    assert score > 18


def test_motion_is_worth_its_bytes():
    pictures = scene(24)
    (segment,) = It2vCoder().encode(window(pictures), 1500, Control()).segments
    assert segment.motion
    moving = shown(segment)
    segment.motion = pack_motion(*unpack_motion(segment.motion)[:1], b"")
    still = shown(segment)
    middle = frame_count(segment, 0) // 4
    assert luma_error(pictures[middle], moving[middle]) < luma_error(pictures[middle], still[middle])


def test_windows_of_one_shot_meet_at_the_neighbours_keyframe():
    pictures = scene(25)
    coder = It2vCoder()
    first = coder.encode(window(pictures[:12], pictures[12]), 900, Control()).segments
    second = coder.encode(window(pictures[12:24]), 900, Control()).segments
    assert not closes_shot(first[-1])
    assert closes_shot(second[-1])
    frames = shown(first[-1], first_picture(second[0].keyframes))
    assert len(frames) == 12
    assert luma_error(pictures[11], frames[11]) < 400


def test_too_small_a_budget_gives_the_floor_and_says_so():
    trial = It2vCoder().encode(window(scene(24)), 30, Control())
    assert trial.floor
    assert trial.size > 30
    assert len([p for segment in trial.segments for p in shown(segment)]) == 24


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 7])
def test_short_windows_work(frames):
    trial = It2vCoder().encode(window(scene(frames)), 600, Control())
    assert sum(len(shown(segment)) for segment in trial.segments) == frames


def test_a_quality_is_measured():
    low, high = (It2vCoder(effort=FAST).encode_quality(window(scene(12)), each, Control()) for each in (25, 50))
    assert quality_db(25) <= low.score < quality_db(50) <= high.score
    assert low.size < high.size


def test_cancelling_stops_the_search():
    control = Control()
    control.cancel()
    with pytest.raises(CancelledError):
        It2vCoder().encode(window(scene(6)), 900, control)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (853, 17)])
def test_pictures_too_small_for_motion_are_coded_without(size):
    width, height = size
    planes = [np.full(shape, 90, np.uint8) for shape in ((height, width), *[((height + 1) // 2, (width + 1) // 2)] * 2)]
    pictures = [Picture(*planes)] * 8
    few = Window(pictures, 0, width, height, RATE, opens_shot=True, closes_shot=True, following=None)
    (segment,) = It2vCoder().encode(few, 2000, Control()).segments
    assert not unpack_motion(segment.motion)[1]


def test_chosen_keyframes_stand_where_they_were_chosen_with_even_gaps_between():
    still = scene(1) * 41
    chosen = replace(window(still), keyframes=(0, 13, 15, 39))
    assert layout_of(chosen, 1).positions == (0, 40)  # too few gaps for them
    assert layout_of(chosen, 2).positions == (0, 13, 40)  # 15 and 39 are too near to others
    assert layout_of(chosen, 5).positions == (0, 6, 13, 22, 31, 40)
    assert layout_of(replace(chosen, following=still[0]), 2).anchors == (0, 13, 41)
    assert layout_of(chosen, 2, even=True).positions == layout_of(window(still), 2).positions == (0, 20, 40)


@pytest.mark.parametrize(("profile", "step"), [(WAN, 4), (LTX, 8), (ANIMATEDIFF, 1)])
def test_keyframes_for_a_model_stand_where_it_has_a_latent_for_each(profile, step):
    chosen = replace(window(scene(1) * 61), keyframes=(0, 13, 15, 39))
    assert anchor_step(profile, chosen) == step
    for gaps in range(1, 9):
        for last in (61, 60):
            shown = replace(chosen, following=chosen.pictures[0]) if last == 61 else chosen
            *anchors, end = layout_of(shown, gaps, step).anchors
            assert end == last
            assert all(position % step == 0 for position in anchors)
            assert anchors == sorted(set(anchors))
    assert layout_of(chosen, 5, 8).positions == (0, 16, 24, 40, 48, 60)  # 13 goes to 16, and the others likewise


def test_what_a_model_ignores_is_not_sent():
    moving = window(scene(24))
    alone, warped = (It2vCoder(generator=each).encode(moving, 1500, Control()) for each in (WAN, EMBEDDED))
    track = unpack_motion(warped.segments[0].motion)[1]
    assert len(track) > 50
    assert not alone.segments[0].motion
    assert alone.size <= 1500
    assert len(alone.segments[0].keyframes) > len(warped.segments[0].keyframes)  # which get the bytes


def slide(seed):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 4)
    y = np.clip(110 + 30 * noise / noise.std(), 16, 235).astype(np.uint8)
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Picture(y, chroma, chroma.copy())


def test_slides_within_a_shot_get_keyframes_where_they_change():
    """Warping cannot make one from the other."""
    changes = (7, 16, 37)
    pictures = [picture for n, count in enumerate((7, 9, 21, 11)) for picture in [slide(n)] * count]
    chosen = It2vCoder().encode(replace(window(pictures), keyframes=(0, *changes)), 1500, Control())
    assert set(changes) <= set(chosen.segments[0].keyframe_positions)
    assert packet_bytes(chosen) <= 1500
    frames = shown(chosen.segments[0])
    assert len(frames) == 48
    assert all(luma_error(pictures[n], frames[n]) < 30 for n in (0, *changes))


def test_the_caption_is_written_while_keyframes_are_coded():
    class Slow(EmbeddedExtractor):
        """Does not answer before keyframes were coded."""

        def describe(self, window, frames, max_bytes=120, said=None):
            assert coded.wait(30)
            return super().describe(window, frames, max_bytes, said)

    class Watching(NullObserver):
        def stage(self, stage, mode, seconds):
            if stage == "keyframe":
                coded.set()

    coded = threading.Event()
    trial = It2vCoder(Slow(), Watching()).encode(window(scene(24)), 1500, Control())
    assert unpack_motion(trial.segments[0].motion)[0]


@pytest.mark.parametrize("size", [(7680, 4320), (4320, 7680), (7680, 2160), (7681, 1229)])
def test_no_keyframe_is_coded_larger_than_decoders_take(size):
    width, height = size
    empty = [np.empty((-(-height // n), -(-width // n)), np.uint8) for n in (1, 2, 2)]  # never touched
    coder = KeyframeCoder([Picture(*empty)], Fraction(1), Control())
    coded = [max(round(side * coder.full_scale / 2) * 2, 2) for side in size]
    assert coded[0] * coded[1] <= DEFAULT_LIMITS.keyframe_pixels
    assert (
        coder.scales()[0]
        == coder.full_scale
        >= min(0.98 * (DEFAULT_LIMITS.keyframe_pixels / (width * height)) ** 0.5, 1)
    )


def test_auto_takes_it_only_where_the_streams_generator_decodes_it():
    def modes(profile):
        tools = Tools(EmbeddedExtractor(), generator=profile)
        trial = AutoCoder(tools, tries_images=True).encode(window(scene(24)), 90, Control())
        return {mode_of(segment) for segment in trial.segments}

    assert modes(EMBEDDED) == {common_pb2.MODE_IT2V}
    assert common_pb2.MODE_IT2V not in modes(VIDEOCRAFTER2)
