"""How many pixels a call may ask for: what is carried is not bounded, what a few bytes claim is."""

import resource
from io import BytesIO

import pytest
from media_files import OneWay
from text_streams import repeating_stream

from cmvc.bitstream.budget import CallBudget
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import frames_asked_for, open_stream, segment_requests
from cmvc.control import Control
from cmvc.errors import LimitError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.settings import decode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.wire.pipe import Pipe
from cmvc_decoder.executors.registry import make_executor
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.pipeline import decode
from cmvc_gateway.servicer import read_works


def stream(segments, *, width=7680, height=4320, rate=60, frames=240):
    """Return a TT2V stream of large pictures in few bytes."""
    header = pb.StreamHeader(width=width, height=height, frame_rate_numerator=rate, segment_frames=frames)
    return repeating_stream(segments, header, pb.Profile(id="embedded", revision="1"), DEFAULT_LIMITS)


def piped(data):
    pipe = Pipe(Control())
    for start in range(0, len(data), 100):
        pipe.put(data[start : start + 100])
    pipe.finish()
    return pipe


BOMB = stream(1500)
READERS = {
    "a file": lambda data: next(decode(BytesIO(data), decode_config(), Control(), make_executor(DecoderOptions()))),
    "a decoder": lambda data: next(decode(piped(data), decode_config(), Control(), make_executor(DecoderOptions()))),
    "a gateway": lambda data: next(read_works(piped(data), decode_config(), None)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_some_kilobytes_that_ask_for_days_of_a_decoder_are_refused_before_any_of_it(read):
    assert len(BOMB) < 32 << 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitError, match=r"call pixels: .* ask for parts of the stream"):
        read(BOMB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10  # KiB


def test_a_part_of_such_a_stream_may_be_asked_for():
    config = decode_config(start=20, duration=30)
    assert len(list(segment_requests(open_stream(BytesIO(BOMB), config), config))) == 8


def test_video_that_is_carried_is_not_bounded():
    header = pb.StreamHeader(width=1920, height=1080, frame_rate_numerator=24)
    budget = CallBudget(header, DEFAULT_LIMITS)
    for _ in range(7 * 24 * 1800):  # a week, in 3 kbit/s
        budget.make(48, 750)
    from_text = CallBudget(header, DEFAULT_LIMITS)
    for _ in range(6 * 1800):  # six hours from next to nothing
        from_text.make(48, 10)


def test_of_a_stream_that_is_not_at_hand_no_more_is_made_than_a_call_may_ask_for():
    limits = Limits(call_pixels=3 * 24 * 64 * 48, call_pixels_per_byte=0)
    source = OneWay(stream(5, width=64, height=48, rate=24, frames=24))
    seen = []
    with pytest.raises(LimitError, match=f"call pixels: {4 * 24 * 64 * 48} is over the limit of {3 * 24 * 64 * 48}"):
        seen.extend(segment_requests(open_stream(source, decode_config(), limits), decode_config(), limits))
    assert len(seen) == 3


def test_of_a_file_all_is_counted_before_any_of_it_is_made():
    data = stream(5, width=64, height=48, rate=24, frames=24)
    enough = 5 * 24 * 64 * 48
    index = StreamReader(BytesIO(data)).index()
    for config, frames in ((decode_config(), 120), (decode_config(start=1, duration=3), 72)):
        most = Limits(call_pixels=frames * 64 * 48, call_pixels_per_byte=0)
        assert frames_asked_for(StreamReader(BytesIO(data)), config, most) == frames
        with pytest.raises(LimitError, match="call pixels"):
            frames_asked_for(StreamReader(BytesIO(data)), config, Limits(call_pixels=1, call_pixels_per_byte=0))
    by_bytes = Limits(call_pixels=0, call_pixels_per_byte=-(-enough // (index.end - index.offsets[0])))
    assert frames_asked_for(StreamReader(BytesIO(data)), decode_config(), by_bytes) == 120
