"""A segment as a unit of work: with all that is needed to decode it anywhere."""

from cmvc.bitstream.stream import PlacedSegment, StreamReader
from cmvc.errors import CorruptStreamError
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2


def choose_profile(table: pb.ProfileTable, segment: pb.Segment, wanted: str) -> pb.Profile:
    """Return the profile to decode a segment with: the one ``wanted`` by name, else the stream's own.

    Raises:
        CorruptStreamError: the segment refers to an entry that the table does not have.
    """
    if wanted:
        same = (profile for profile in table.profiles if profile.id == wanted)
        return next(same, pb.Profile(id=wanted))
    if segment.profile >= len(table.profiles):
        raise CorruptStreamError(f"a segment refers to profile {segment.profile} of {len(table.profiles)}")
    return table.profiles[segment.profile]


def segment_request(
    reader: StreamReader, placed: PlacedSegment, config: decoder_pb2.DecodeConfig
) -> decoder_pb2.DecodeSegmentRequest:
    """Return the unit of work of one segment."""
    return decoder_pb2.DecodeSegmentRequest(
        header=reader.header,
        profile=choose_profile(reader.profiles, placed.segment, config.profile),
        segment=placed.segment,
        index=placed.index,
        first_frame=placed.first_frame,
        next_anchor=placed.next_anchor,
        format=config.format,
        text=placed.text,
        closes_stream=placed.closes_stream,
    )
