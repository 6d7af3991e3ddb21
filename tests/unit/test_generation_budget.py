"""What a model may be asked to make: bounded for a segment and for a call, however few bytes ask for it."""

import resource
from fractions import Fraction
from io import BytesIO
from math import ceil
from pathlib import Path

import pytest
from media_files import OneWay
from text_streams import repeating_stream

from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.text import encode_text
from cmvc.bitstream.work import open_stream, segment_requests
from cmvc.control import Control
from cmvc.errors import LimitError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.profiles.generation import pixel_steps
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.settings import decode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc.wire.pipe import Pipe
from cmvc_decoder.diffusion.grid import native_size, plan
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode, decode_segment
from cmvc_gateway.servicer import read_works

LOOSE = Limits(segment_pixel_steps=1 << 60)
WAN = "wan-vace-1.3b"
MOST = {"steps": "200", "pixels": str(1920 * 1088)}


def stream(segments, *, frames=10, rate=1, profile=WAN, limits=LOOSE, **settings):
    """Return a TT2V stream for a model, in few bytes."""
    header = pb.StreamHeader(width=1920, height=1080, frame_rate_numerator=rate, segment_frames=frames)
    return repeating_stream(segments, header, pb.Profile(id=profile, settings=settings), limits)


class Idle(InProcessExecutor):
    """Has the profiles, and counts what it is asked to make."""

    def __init__(self):
        super().__init__([WAN, "embedded"], Path(), ())
        self.asked = 0

    def generate(self, request, conditions, control):
        self.asked += 1
        return iter(())


def piped(data):
    pipe = Pipe(Control())
    pipe.put(data)
    pipe.finish()
    return pipe


def test_a_sampler_for_few_steps_counts_as_few():
    header = pb.StreamHeader(width=832, height=480, frame_rate_numerator=16)
    segment = new_segment(81, closes_shot=True)
    segment.text = encode_text("A lake at dawn.\nNothing moves.")
    made = {
        sampler: pixel_steps(header, pb.Profile(id=WAN, settings={"sampler": sampler}), segment, 81)
        for sampler in ("unipc", "lcm", "dmd")
    }
    assert made == {"unipc": 81 * 480 * 832 * 30, "lcm": 81 * 480 * 832 * 4, "dmd": 81 * 480 * 832 * 4}


BOMB = stream(110, **MOST)
READERS = {
    "a file": lambda data, executor: list(decode(BytesIO(data), decode_config(), Control(), executor)),
    "a decoder": lambda data, executor: list(decode(piped(data), decode_config(), Control(), executor)),
    "a gateway": lambda data, _: next(read_works(piped(data), decode_config(), None)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_kilobyte_that_asks_for_days_of_a_model_is_refused_before_any_of_it(read):
    assert len(BOMB) < 1200
    executor = Idle()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitError, match=rf"call pixel steps: \d+ is over the limit of {1 << 39}"):
        read(BOMB, executor)
    assert not executor.asked
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10  # KiB


def test_a_long_profile_table_hides_nothing():
    long = stream(110, **MOST, **{f"note{n}": "so and so" for n in range(100)})
    with pytest.raises(LimitError, match="call pixel steps"):
        open_stream(BytesIO(long), decode_config())


def test_of_a_stream_that_is_not_at_hand_no_more_is_made_than_a_call_may_ask_for():
    limits = Limits(call_pixel_steps=3 * 13 * 480 * 832 * 30)
    source = OneWay(stream(5))
    seen = []
    with pytest.raises(LimitError, match="call pixel steps"):
        seen.extend(
            placed
            for placed, _ in segment_requests(open_stream(source, decode_config(), limits), decode_config(), limits)
        )
    assert len(seen) == 3


def test_of_a_stream_too_long_for_a_call_a_part_may_be_asked_for():
    config = decode_config(start=20, duration=30)
    assert len(list(segment_requests(open_stream(BytesIO(BOMB), config), config))) == 3


def test_no_model_is_asked_for_anything_where_another_profile_is_named():
    config = decode_config(profile="embedded")
    assert len(list(segment_requests(open_stream(BytesIO(BOMB), config), config))) == 110


def test_a_segment_that_asks_too_much_of_a_model_is_refused_by_reader_decoder_and_writer():
    settings = MOST | {"steps": "100"}
    data = stream(1, frames=240, rate=24, **settings)
    reader = StreamReader(BytesIO(data))
    placed = next(reader.segments())
    request = decoder_pb2.DecodeSegmentRequest(
        header=reader.header, profile=reader.profiles.profiles[0], segment=placed.segment
    )
    executor = Idle()
    over = pytest.raises(LimitError, match=rf"segment pixel steps: \d+ is over the limit of {1 << 34}")
    with over:
        list(decode_segment(request, Control(), executor))
    assert not executor.asked
    with over:
        open_stream(BytesIO(data), decode_config())
    with over:
        stream(1, frames=240, rate=24, limits=DEFAULT_LIMITS, **settings)


@pytest.mark.parametrize("profile", MODEL_PROFILES)
def test_what_profiles_make_of_themselves_is_within_the_limits(profile):
    for frames, rate in ((240, 24), (600, 60), (10, 1), (1, 1)):
        stream(1, frames=frames, rate=rate, profile=profile, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("text", ["", "many", "-5", "1e9", "9" * 5000])
def test_settings_that_are_no_numbers_count_as_left_out(text):
    header, segment = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24), pb.Segment(text=b"\0red")
    plain = pixel_steps(header, pb.Profile(id=WAN), segment, 24)
    assert pixel_steps(header, pb.Profile(id=WAN, settings={"steps": text, "pixels": text}), segment, 24) == plain


@pytest.mark.parametrize("profile", MODEL_PROFILES)
@pytest.mark.parametrize("rate", [Fraction(1), Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(240)])
def test_the_work_counted_is_the_work_that_is_planned(profile, rate):
    grid, steps = MODEL_PROFILES[profile].grid, MODEL_PROFILES[profile].steps
    header = pb.StreamHeader(
        width=1280, height=720, frame_rate_numerator=rate.numerator, frame_rate_denominator=rate.denominator
    )
    goes_on = pb.Profile(id=profile, settings={"continuity": "tail"})
    for frames in {1, min(ceil(2 * rate), 480), min(ceil(10 * rate), 2400)}:
        cases = {
            "text": (pb.Segment(text=b"\0red"), [], MODEL_PROFILES[profile].takes_frames),
            "images": (pb.Segment(keyframes=b"x"), [0, frames], False),
            "guide": (pb.Segment(guide=b"x"), [], False),
        }
        for segment, positions, hands_on in cases.values():
            planned = plan(
                grid=grid,
                width=1280,
                height=720,
                frames=frames,
                frame_rate=rate,
                positions=positions,
                hands_on=hands_on,
            )
            made = len(planned.windows) * planned.window_frames
            assert pixel_steps(header, goes_on, segment, frames) == made * grid.pixels * steps
    width, height = native_size(1280, 720, grid)
    assert width * height == pytest.approx(grid.pixels, rel=0.2)


def test_coded_segments_and_profiles_that_are_not_known_ask_for_nothing():
    header = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24)
    assert not pixel_steps(header, pb.Profile(id=WAN), pb.Segment(video=b"x"), 24)
    assert not pixel_steps(header, pb.Profile(id="of-tomorrow"), pb.Segment(text=b"x"), 24)
    assert common_pb2.MODE_CODED in MODEL_PROFILES[WAN].modes
