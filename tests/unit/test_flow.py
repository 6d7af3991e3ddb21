"""What of a segment leaves while it is made, whatever becomes of its decoders."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.control import Control
from cmvc.errors import ServerError
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2
from cmvc.wire.transfer import checked, make_chunk
from cmvc_gateway.flow import Flow, may_flow
from cmvc_gateway.results import Budget, Result, Stores
from cmvc_gateway.room import Room
from cmvc_gateway.spread import Job, _take

OUTPUT = bytes(range(200))


def pieces(cuts: list[int], end: int) -> list[bytes]:
    """Return the output up to ``end`` in pieces that end at ``cuts``."""
    places = sorted({0, end, *(cut for cut in cuts if cut < end)})
    return [OUTPUT[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(1, len(OUTPUT) - 1), max_size=6)


@given(st.lists(st.tuples(CUTS, st.integers(1, len(OUTPUT)), st.booleans()), max_size=4), CUTS)
def test_each_byte_leaves_once_whatever_attempts_it_takes(attempts, cuts):
    flow, left = Flow(), []
    for cuts_then, end, is_taken in attempts:
        flow.again()
        for piece in pieces(cuts_then, end):
            flow.add(make_chunk(piece))
            left += map(checked, flow.take()) if is_taken else []
    left += map(checked, flow.rest(map(make_chunk, pieces(cuts, len(OUTPUT))), len(OUTPUT)))
    assert b"".join(left) == OUTPUT


@given(CUTS, st.integers(1, len(OUTPUT)), st.integers(0, len(OUTPUT) - 1))
def test_another_decoder_has_to_begin_alike(cuts, end, place):
    flow = Flow()
    flow.add(make_chunk(OUTPUT[:end]))
    other = bytearray(OUTPUT)
    other[place] ^= 1
    if place >= end:
        assert b"".join(map(checked, flow.rest(iter([make_chunk(bytes(other))]), len(other)))) == other
        return
    flow.again()
    with pytest.raises(ServerError, match="two decoders write differently"):
        flow.add(make_chunk(bytes(other)))


@pytest.mark.parametrize(
    ("profile", "segment", "may"),
    [
        ("embedded", pb.Segment(guide=b"-"), True),
        ("wan-vace-1.3b", pb.Segment(video=b"-"), True),
        ("wan-vace-1.3b", pb.Segment(guide=b"-"), False),
    ],
)
def test_only_what_any_decoder_makes_alike_leaves_before_it_is_whole(profile, segment, may):
    request = decoder_pb2.DecodeSegmentRequest(profile=pb.Profile(id=profile), segment=segment)
    assert may_flow(request) == may


@pytest.mark.parametrize("flows", [True, False])
async def test_what_nobody_takes_while_it_is_made_is_held_by_its_result_alone(flows):
    request = decoder_pb2.DecodeSegmentRequest(profile=pb.Profile(id="embedded"), segment=pb.Segment(guide=b"-"))
    job, result = Job(request, 24, Control(), flows=flows), Result(Stores(Budget(100), Room(100)))
    await _take(decoder_pb2.DecodeSegmentResponse(data=make_chunk(b"output")), job, result)
    assert result.size == len(b"output")
    assert bool(job.flow) == flows
