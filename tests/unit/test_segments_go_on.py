"""``continuity=tail``: TT2V segments go on from frames that those before them have made."""

import io
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

from test_toy_vace import Toy, scene
from text_streams import FRAMES, RATE, SIDE, text_stream

from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import segment_requests
from cmvc.control import Control
from cmvc.errors import BitstreamError, InvalidSettingError, LimitError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb
from cmvc.profiles.continuity import continues, fitted, hands_on
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.records import DecodeSummary, SegmentSummary, StreamBytes, Tail
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.grid import plan
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.generator import Conditions, Step
from cmvc_decoder.pipeline import decode, decode_segment
from cmvc_decoder.speed.options import SpeedOptions

WAN = "wan-vace-1.3b"
Y4M = decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_Y4M)
FRAME_BYTES = SIDE * SIDE * 3 // 2 + len(b"FRAME\n")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("store")
    (root / WAN).mkdir()
    (root / WAN / "pipeline").symlink_to(Path(__file__).parents[1] / "toy_vace" / "weights")
    return root


@pytest.fixture(scope="module")
def executor(store):
    return InProcessExecutor([WAN], store, ("device=cpu", "dtype=float32"))


def shot(store, caption, *, goes_on, segments=4):
    """Return the frames of a shot, (frames, SIDE, SIDE, 3), each segment as the pipeline would ask for it."""
    generator = DiffusionGenerator(Toy(), store / WAN, SpeedOptions())
    opening, made = (), []
    for number in range(segments):
        asked = Conditions(
            common_pb2.MODE_TT2V, SIDE, SIDE, FRAMES, Fraction(RATE), 100 + number, text=caption, scene_seed=5,
            opening=opening, hands_on=goes_on and number < segments - 1,
        )  # fmt: skip
        opening = ()
        for item in generator.generate(asked, Control()):
            if isinstance(item, Tail):
                opening = tuple(av1.decode(item.data))
            elif not isinstance(item, Step):
                made.append(to_rgb(item, 1))
    return np.stack(made).astype(float)


def borders_and_inside(video):
    changes = np.abs(np.diff(video, axis=0)).mean((1, 2, 3))
    borders = list(range(FRAMES - 1, len(changes), FRAMES))
    return changes[borders].mean(), np.delete(changes, borders).mean()


@pytest.mark.parametrize(("background", "color"), [("black", "red"), ("blue", "yellow"), ("white", "green")])
def test_a_border_shows_no_more_change_than_what_is_inside_segments(store, background, color):
    caption = scene(background, color).caption
    border, inside = borders_and_inside(shot(store, caption, goes_on=True))
    assert border <= 1.5 * inside


def test_motion_does_not_start_again(store):
    """Without a tail each segment of the shot is the same clip; with one, each is as far from the one before as it
    changes from one frame to the next."""
    caption = scene("black", "red").caption
    again, goes_on = (shot(store, caption, goes_on=each) for each in (False, True))
    assert borders_and_inside(again)[0] > 1.5 * borders_and_inside(again)[1]
    assert np.array_equal(again[:FRAMES], again[FRAMES : 2 * FRAMES])
    late = [goes_on[k * FRAMES + 5 : (k + 1) * FRAMES] for k in range(4)]  # past what was handed on
    apart = [np.abs(one - other).mean() for one, other in pairwise(late)]
    assert min(apart) > 0.5 * borders_and_inside(goes_on)[1]


def decoded(executor, data, start=0.0, duration=0.0):
    """Return the frames of a part, each as its bytes, and the summary."""
    config = decoder_pb2.DecodeConfig(format=Y4M.format, start=start, duration=duration)
    records = list(decode(io.BytesIO(data), config, Control(), executor))
    video = b"".join(record.data for record in records if isinstance(record, StreamBytes)).partition(b"\n")[2]
    assert isinstance(records[-1], DecodeSummary)
    return [video[at : at + FRAME_BYTES] for at in range(0, len(video), FRAME_BYTES)], records[-1]


def test_a_part_is_what_the_whole_has_there(executor):
    """It is made from the first segment of its shot on; the shot before it is not."""
    data = text_stream(5, closes=1, continuity="tail")
    whole, _ = decoded(executor, data)
    part, summary = decoded(executor, data, start=33 / RATE, duration=3 / RATE)
    assert part == whole[33:36]
    assert summary.segments == 1
    assert part != decoded(executor, text_stream(5, closes=1), start=33 / RATE, duration=3 / RATE)[0]


@pytest.mark.parametrize(
    ("closes", "first", "asked"),
    [(1, 33, [2, 3, 4]), (0, 33, [1, 2, 3, 4]), (None, 17, [0, 1, 2]), (0, 9, [1]), (1, 0, [0])],
)
def test_a_part_takes_its_shot_along_and_no_more(closes, first, asked):
    data = text_stream(5, closes=closes, continuity="tail")
    config = decoder_pb2.DecodeConfig(start=first / RATE, duration=3 / RATE)
    for source in (io.BytesIO(data), Unseekable(data)):
        assert [request.index for _, request in segment_requests(StreamReader(source), config)] == asked


class Unseekable(io.RawIOBase):
    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(size)

    def seekable(self):
        return False


def requests(data):
    return [request for _, request in segment_requests(StreamReader(io.BytesIO(data)), Y4M)]


def test_what_is_driven_again_comes_out_byte_for_byte(executor):
    first, second, last = requests(text_stream(3, continuity="tail"))
    tails, videos = [], []
    for _ in range(2):
        records = list(decode_segment(first, Control(), executor))
        (tail,) = [record.data for record in records if isinstance(record, Tail)]
        second.tail_before = tail
        records = list(decode_segment(second, Control(), executor))
        tails.append(tail)
        videos.append(b"".join(record.data for record in records if isinstance(record, StreamBytes)))
    assert tails[0] == tails[1]
    assert videos[0] == videos[1]
    assert not any(isinstance(record, Tail) for record in decode_segment(last, Control(), executor))


def test_a_segment_without_wanted_frames_gives_its_tail_alone(executor):
    first, _ = requests(text_stream(2, continuity="tail"))
    first.from_frame = FRAMES
    records = list(decode_segment(first, Control(), executor))
    assert isinstance(records[-2], Tail)
    assert records[-1] == SegmentSummary(0, 0)
    assert not any(isinstance(record, StreamBytes) for record in records)
    alone, _ = requests(text_stream(2))
    alone.from_frame = FRAMES
    with pytest.raises(InvalidSettingError, match="no frame"):
        list(decode_segment(alone, Control(), executor))


def test_a_tail_is_taken_as_anything_from_outside():
    request = requests(text_stream(2, continuity="tail"))[1]
    request.tail_before = b"\x12\0garbage"
    with pytest.raises(BitstreamError):
        read_conditions(request, DEFAULT_LIMITS)
    gray = to_gray(64)
    request.tail_before = av1.encode([gray] * 3, frame_rate=Fraction(16), crf=40, preset=12)
    assert len(read_conditions(request, DEFAULT_LIMITS).opening) == 3
    with pytest.raises(LimitError):
        read_conditions(request, replace(DEFAULT_LIMITS, keyframes=2))
    with pytest.raises(LimitError):
        read_conditions(request, replace(DEFAULT_LIMITS, keyframe_pixels=64 * 63))


def to_gray(side):
    chroma = np.full((side // 2, side // 2), 128, np.uint8)
    return Picture(np.full((side, side), 100, np.uint8), chroma, chroma)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(60)])
def test_segments_of_an_encoder_are_one_window_each(rate):
    for facts in MODEL_PROFILES.values():
        profile = pb.Profile(id=facts.id, settings={"continuity": "tail"})
        assert continues(profile) == facts.takes_frames
        if facts.takes_frames:
            grid, frames = facts.grid, fitted(profile).text_frames(rate)
            made = plan(grid=grid, width=854, height=480, frames=frames, frame_rate=rate, hands_on=True)
            assert made.windows == (0,)
            assert made.window_frames <= grid.frames.most
            assert [made.times[n] for n in made.tail] == [
                frames + k * made.stride for k in range(grid.overlap)
            ]  # where the next has its first
            assert frames < facts.text_frames(rate)


def test_only_text_whose_shot_goes_on_hands_on():
    tail = pb.Profile(id=WAN, settings={"continuity": "tail"})
    assert hands_on(tail, pb.Segment(frames=8, text=b"x"))
    assert not hands_on(tail, pb.Segment(closing_frames=8, text=b"x"))
    assert not hands_on(tail, pb.Segment(frames=8, keyframes=b"x"))
    assert not hands_on(pb.Profile(id=WAN), pb.Segment(frames=8, text=b"x"))
    assert not hands_on(pb.Profile(id="embedded", settings={"continuity": "tail"}), pb.Segment(frames=8, text=b"x"))


def test_a_model_that_takes_no_frames_says_so(tmp_path):
    executor = InProcessExecutor(["videocrafter2"], tmp_path, ("device=cpu",))
    request = requests(text_stream(2, profile="videocrafter2", continuity="tail"))[0]
    with pytest.raises(InvalidSettingError, match="takes no frames"):
        list(decode_segment(request, Control(), executor))
