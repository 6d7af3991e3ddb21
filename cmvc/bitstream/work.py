"""A segment as a unit of work: with all that is needed to decode it anywhere."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Protocol, cast, runtime_checkable

from cmvc.bitstream.budget import CallBudget, may_overspend
from cmvc.bitstream.index import Seekable, can_seek
from cmvc.bitstream.packets import ByteSource, read_packets
from cmvc.bitstream.stream import PlacedSegment, StreamReader, check_frames, frame_rate
from cmvc.errors import (
    BitstreamError,
    CorruptStreamError,
    InvalidMessageError,
    InvalidSettingError,
    TruncatedStreamError,
)
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.part import WHOLE, Part, part_of
from cmvc.profiles.continuity import continues, hands_on
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2

_HEAD_BYTES = 1 << 10  # of a stream, in which header and profiles usually stand
_FIRST_BYTES = 16 << 10  # that are looked through before any work is begun, where they may ask for too much


@runtime_checkable
class Peekable(ByteSource, Protocol):
    """A source that shows what comes next."""

    def peek(self, size: int, /) -> bytes:
        """Return what is there without another wait, at least a byte but at the end; it is read again later."""


def open_stream(source: ByteSource, config: decoder_pb2.DecodeConfig, limits: Limits = DEFAULT_LIMITS) -> StreamReader:
    """Return a reader of a stream, unless what is at hand of it asks for more than a call may.

    So a small stream that asks for too much is refused before any of it is made; of others ``segment_requests`` keeps
    count while they are read.

    Raises:
        BitstreamError: see ``StreamReader``.
        LimitError: likewise; or the segments at hand ask for too much (see ``CallBudget``).
    """
    if _worth_a_look(source, config, limits):  # else there is nothing to find, and a first picture to hurry for
        with suppress(BitstreamError, InvalidSettingError):  # what is wrong or missing is told once the whole is read
            _look_through(_at_hand(source, _FIRST_BYTES), config, limits)
    return StreamReader(source, limits)


def _worth_a_look(source: ByteSource, config: decoder_pb2.DecodeConfig, limits: Limits) -> bool:
    """Return whether the first segments may ask for too much; where header and profiles do not end at once, they may.

    They may of a model, and of pictures so large and many that a few bytes can ask for hours.
    """
    try:
        reader = StreamReader(BytesIO(_at_hand(source, _HEAD_BYTES)), limits)
    except TruncatedStreamError:
        return True
    except BitstreamError:
        return False
    named = [config.profile] if config.profile else [each.id for each in reader.profiles.profiles]
    return any(each in MODEL_PROFILES for each in named) or may_overspend(reader.header, _FIRST_BYTES, limits)


def _look_through(data: bytes, config: decoder_pb2.DecodeConfig, limits: Limits) -> None:
    """Count what the first ``data`` of a stream ask for; no text and no picture is decoded for that.

    Raises:
        BitstreamError: they end, or what they say cannot be read.
        InvalidSettingError: the part that is asked for is none.
        LimitError: it is too much.
    """
    reader = StreamReader(BytesIO(data), limits)
    part = part_of(config.start, config.duration, frame_rate(reader.header), limits)
    budget = CallBudget(reader.header, limits)
    first_frame = 0
    for read in read_packets(BytesIO(data), limits):
        if read.packet.WhichOneof("kind") == "segment":
            segment = read.packet.segment
            frames = check_frames(segment, reader.header, limits)
            if part.of_run(first_frame, frames):
                budget.make(frames, read.size)
                budget.generate(segment, choose_profile(reader.profiles, segment, config.profile))
            first_frame += frames


def _at_hand(source: ByteSource, size: int) -> bytes:
    """Return up to so many bytes of what comes next, which is read again later."""
    if can_seek(source):
        file = cast(Seekable, source)
        position = file.seek(0, 1)
        data = file.read(size)
        file.seek(position)
        return data
    return source.peek(size)[:size] if isinstance(source, Peekable) else b""


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


def _handing_on(reader: StreamReader, config: decoder_pb2.DecodeConfig) -> Callable[[pb.Segment], bool] | None:
    if not any(map(continues, reader.profiles.profiles)):
        return None
    return lambda segment: hands_on(choose_profile(reader.profiles, segment, config.profile), segment)


def segment_request(
    reader: StreamReader, placed: PlacedSegment, config: decoder_pb2.DecodeConfig, part: Part = WHOLE
) -> decoder_pb2.DecodeSegmentRequest:
    """Return the unit of work of one segment, of whose frames those of ``part`` are wanted."""
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
        from_frame=part.first,
        to_frame=part.end or 0,
        lead_in=placed.lead_in if placed.lead_in.data else None,
        crf=config.crf if config.HasField("crf") else None,
    )


def segment_requests(
    reader: StreamReader, config: decoder_pb2.DecodeConfig, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[PlacedSegment, decoder_pb2.DecodeSegmentRequest]]:
    """Yield the segments of what ``config`` asks for of a stream, each with its unit of work.

    The first may stand before that: those that go on to it (see ``hands_on``), of which no frame is wanted.

    Raises:
        BitstreamError, LimitError: see ``StreamReader.segments``.
        LimitError: a segment, or all so far, asks for too much (see ``CallBudget``).
        InvalidSettingError: the part that is asked for is none, or the stream ends before it begins.
    """
    budget = CallBudget(reader.header, limits)
    part = part_of(config.start, config.duration, frame_rate(reader.header), limits)
    for placed in reader.segments(part, _handing_on(reader, config)):
        request = segment_request(reader, placed, config, part)
        budget.make(placed.frames, placed.size)
        budget.generate(request.segment, request.profile)
        yield placed, request


def frames_asked_for(reader: StreamReader, config: decoder_pb2.DecodeConfig, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return how many frames ``config`` asks for of a stream; 0 where its trailer does not tell before all is read.

    Raises:
        InvalidSettingError: the part that is asked for is none.
        LimitError: they are too many for a call (see ``CallBudget``): told now, not after hours.
    """
    index = reader.index()
    part = part_of(config.start, config.duration, frame_rate(reader.header), limits)
    wanted = part.of_run(0, index.frames) if index else range(0)
    if index and wanted:
        CallBudget(reader.header, limits).make(len(wanted), index.size_of(wanted))
    return len(wanted)


def frames_wanted(placed: PlacedSegment, request: decoder_pb2.DecodeSegmentRequest) -> int:
    """Return how many frames of a segment its unit of work asks for."""
    return len(part_in(request).of_run(placed.first_frame, placed.frames))


def part_in(request: decoder_pb2.DecodeSegmentRequest) -> Part:
    """Return the part of the stream whose frames are wanted."""
    return Part(request.from_frame, request.to_frame or None)


def check_whole(request: decoder_pb2.DecodeSegmentRequest) -> None:
    """Return if a unit of work has what it cannot be without.

    Raises:
        InvalidMessageError: it has not.
    """
    if not request.HasField("header"):
        raise InvalidMessageError("the request has no header; send that of the stream", field="header")
    if not request.HasField("segment"):
        raise InvalidMessageError("the request has no segment; send the one to decode", field="segment")
