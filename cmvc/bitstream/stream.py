"""A stream as its users see it: a header, profiles, and segments that know their place.

``StreamWriter`` and ``StreamReader`` keep what a segment does not store (index, first frame, the neighbour's anchor)
and what the trailer sums up.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice
from typing import cast

from cmvc.bitstream.audio import first_packet, pack_audio
from cmvc.bitstream.av1pack.payload import first_picture
from cmvc.bitstream.cut import LeadIn, lead_packet
from cmvc.bitstream.header import check_header
from cmvc.bitstream.index import Index, Seekable, can_seek, read_index
from cmvc.bitstream.packets import (
    PREAMBLE,
    ByteSource,
    ReadPacket,
    check_size,
    frame_packet,
    read_packets,
    read_packets_from,
    serialise,
)
from cmvc.bitstream.repeated_text import own_text, repeated_text, repeats_text
from cmvc.bitstream.segments import closes_shot, frame_count
from cmvc.errors import BitstreamError, CorruptStreamError, LimitError, TruncatedStreamError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.part import WHOLE, Part, nothing_there
from cmvc.profiles.generation import pixel_steps
from cmvc.restoration.settings import FIDELITY, SETTING
from cmvc.v1 import bitstream_pb2 as pb

SHA256_BYTES = 4
MOST_SHA256_BYTES = 8  # in format version 1
# The first is for everything; segments of VT2V may refer to the second, whose pictures are restored (docs/adr/0030).
DEFAULT_PROFILES = pb.ProfileTable(
    profiles=[
        pb.Profile(id="embedded", revision="1"),
        pb.Profile(id="embedded", revision="1", settings={SETTING: FIDELITY}),
    ]
)
_LARGE_SEGMENT_BYTES = (1 << 21) - 1  # the most that three bytes of a varint hold
_MANY_FRAMES = (1 << 14) - 1  # two bytes


def frame_rate(header: pb.StreamHeader) -> Fraction:
    """Return the frames per second of the stream."""
    return Fraction(header.frame_rate_numerator, header.frame_rate_denominator or 1)


def check_frames(segment: pb.Segment, header: pb.StreamHeader, limits: Limits) -> int:
    """Return the number of a segment's frames where a stream with ``header`` may have such a segment.

    Raises:
        LimitError: see ``Limits.check_segment``.
    """
    frames = frame_count(segment, header.segment_frames)
    return limits.check_segment(frames, frame_rate(header), header.width * header.height)


def check_generation(segment: pb.Segment, header: pb.StreamHeader, profile: pb.Profile, limits: Limits) -> int:
    """Return what a model has to make for a segment with ``profile`` (see ``pixel_steps``) where it is not too much.

    Raises:
        LimitError: it is.
    """
    frames = frame_count(segment, header.segment_frames)
    asked, most = pixel_steps(header, profile, segment, frames), limits.segment_pixel_steps
    if asked > most:
        raise LimitError(f"segment pixel steps: {asked} is over the limit of {most}; make it in fewer steps or pixels")
    return asked


def pixel_aspect(header: pb.StreamHeader) -> Fraction:
    """Return the width of a pixel over its height."""
    return Fraction(header.pixel_aspect_numerator or 1, header.pixel_aspect_denominator or 1)


@dataclass(frozen=True)
class PlacedSegment:
    """A segment with what it does not store itself.

    Attributes:
        segment: as it stands in the stream.
        index: from 0.
        first_frame: number of its first frame in the stream, from 0.
        frames: how many frames it has.
        offset: of its packet in the stream, in bytes.
        size: of its packet, in bytes, CRC included.
        next_anchor: AV1 OBUs of the next segment's first exact picture, empty where it starts a new shot, has
            none (TT2V), or is missing.
        text: of a TT2V segment that repeats lines of the segment before it (docs/bitstream.md, "TT2V"): its whole
            text; else empty.
        closes_stream: whether it is the last.
        lead_in: of the first segment of a part: sound of the segments before it that the part takes along.
    """

    segment: pb.Segment
    index: int
    first_frame: int
    frames: int
    offset: int
    size: int
    next_anchor: bytes = b""
    text: str = ""
    closes_stream: bool = False
    lead_in: pb.SegmentAudio = field(default_factory=pb.SegmentAudio)


class StreamWriter:
    """Turns a header and segments into the bytes of a stream, and counts them.

    Nothing is written that a ``StreamReader`` with the same limits would not take.
    """

    def __init__(self, header: pb.StreamHeader, profiles: pb.ProfileTable, limits: Limits = DEFAULT_LIMITS) -> None:
        """Keep the header; nothing is written before ``open``.

        Raises:
            CorruptStreamError, LimitError: no reader would take the header (see ``check_header``) or the profiles.
        """
        check_header(header, None, limits)
        limits.check("profiles", len(profiles.profiles))
        self._header = header
        self._profiles = profiles
        self._limits = limits
        self._hash = hashlib.sha256()
        self._sizes: list[int] = []
        self._frames: list[int] = []
        self._unchecked = b""
        self.bytes_written = 0

    def open(self) -> bytes:
        """Return the preamble, the header, and the profile table unless it is ``DEFAULT_PROFILES``.

        Raises:
            LimitError: one of the two is larger than a reader takes.
        """
        self._unchecked = PREAMBLE + self._packet(pb.Packet(header=self._header))
        if self._profiles != DEFAULT_PROFILES:
            self._unchecked += self._packet(pb.Packet(profiles=self._profiles))
        return self._count(self._unchecked)

    def write(self, segment: pb.Segment) -> bytes:
        """Return the segment's packet. A frame count equal to the header's is left out.

        Raises:
            LimitError: the segment, or how many there are, is more than a reader takes.
        """
        frames = check_frames(segment, self._header, self._limits)
        self._limits.check("segments", len(self._sizes) + 1)
        if segment.profile < len(self._profiles.profiles):
            check_generation(segment, self._header, self._profiles.profiles[segment.profile], self._limits)
        stored = pb.Segment()
        stored.CopyFrom(segment)
        if stored.frames == self._header.segment_frames:
            stored.frames = 0
        packet = pb.Packet(segment=stored)
        check_size(packet, self._limits)
        data = frame_packet(packet, self._unchecked)
        self._unchecked = b""
        self._sizes.append(len(data))
        self._frames.append(frames)
        return self._count(data)

    def close(self) -> bytes:
        """Return the trailer's packet."""
        return self._count(self._trailer(self._sizes, self._frames))

    def trailer_size(self, segments: int, more_segments: int = 0) -> int:
        """Return the trailer's size in bytes, as an upper bound.

        Args:
            segments: that count as written; the first of those that are.
            more_segments: that would still be to come.
        """
        sizes = [*self._sizes[:segments], *more_segments * [_LARGE_SEGMENT_BYTES]]
        frames = [*self._frames[:segments], *more_segments * [_MANY_FRAMES]]  # the last one seldom is like the others
        return len(self._trailer(sizes, frames))

    def _trailer(self, sizes: list[int], frames: list[int]) -> bytes:
        """Return a trailer's packet. The index of a single segment follows from the stream."""
        uniform = all(count == self._header.segment_frames for count in frames)
        trailer = pb.StreamTrailer(
            segment_bytes=sizes if len(sizes) > 1 else [],
            segment_frames=[] if uniform or len(sizes) == 1 else frames,
            sha256=self._hash.digest()[:SHA256_BYTES],
        )
        return self._packet(pb.Packet(trailer=trailer))

    def _packet(self, packet: pb.Packet) -> bytes:
        check_size(packet, self._limits)
        return serialise(packet)

    def _count(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.bytes_written += len(data)
        return data


class _Hashing:
    """Passes reads through and hashes all but the bytes not yet known to precede the trailer."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._pending: list[bytes] = []

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._pending.append(data)
        return data

    def settle(self) -> None:
        self._hash.update(b"".join(self._pending))
        self._pending.clear()

    def digest(self) -> bytes:
        return self._hash.digest()


class StreamReader:
    """Reads a stream's head at once and its segments as they are asked for.

    Attributes:
        header, profiles: as they stand in the stream.
        head_bytes: size of everything before the first segment, in bytes.
        header_bytes, profile_bytes: sizes of the two packets, with a CRC where they have one; 0 where there is no
            profile table, which then is ``DEFAULT_PROFILES``.
        trailer: once every segment has been read from a whole stream, else None.
        trailer_bytes: size of its packet.
        skipped_bytes: size of packets of unknown kinds, which were passed over.
        damage: the error that ended the stream early, else None.
    """

    def __init__(self, source: ByteSource, limits: Limits = DEFAULT_LIMITS) -> None:
        """Read the header and the profile table.

        Raises:
            BitstreamError: the bytes are not the start of a valid stream.
            LimitError: the stream claims sizes over the limits.
        """
        self._limits = limits
        self._file = source
        self._source = _Hashing(source)
        self._packets: Iterator[ReadPacket] = read_packets(self._source, limits)
        self.skipped_bytes = 0
        first = self._next_known()
        if first.packet.WhichOneof("kind") != "header":
            raise CorruptStreamError("the first packet is not the header", first.offset)
        self.header = first.packet.header
        self.header_bytes = first.size
        check_header(self.header, first.offset, limits)
        self.head_bytes = first.offset + first.size
        self._source.settle()
        self._read_profiles()
        self.trailer: pb.StreamTrailer | None = None
        self.trailer_bytes = 0
        self.damage: BitstreamError | None = None

    def _read_profiles(self) -> None:
        """Read the second packet. Where it is not the profile table, there is none, and it is read again later."""
        self.profiles, self.profile_bytes = DEFAULT_PROFILES, 0
        second = self._next_known()
        if second.packet.WhichOneof("kind") != "profiles":
            self._packets = chain([second], self._packets)
            return
        self.profiles, self.profile_bytes = second.packet.profiles, second.size
        self._limits.check("profiles", len(self.profiles.profiles))
        self.head_bytes = second.offset + second.size
        self._source.settle()

    def _next_known(self) -> ReadPacket:
        """Return the next packet of a kind that this version knows."""
        for read in self._packets:
            if read.packet.WhichOneof("kind"):
                return read
            self.skipped_bytes += read.size
        raise AssertionError("a stream ends with a trailer or an error")

    def segments(
        self, part: Part = WHOLE, hands_on: Callable[[pb.Segment], bool] | None = None
    ) -> Iterator[PlacedSegment]:
        """Yield each segment that has frames of ``part``, one behind the reading, to give it its neighbour's anchor.

        Before the first of them come those that it goes on from: ``hands_on`` says of a segment whether the next does;
        None where no segment does.

        Of a source that can seek, and whose trailer says where segments stand, no others are read than these, those
        whose text or sound they need, and the next one.

        A stream that is cut off or corrupt yields up to its last whole segment and leaves the error in ``damage``;
        where that is not a single segment, the error is raised.

        Raises:
            BitstreamError: the stream has no whole segment, or none before the end of ``part``.
            LimitError: a segment claims more than the limits allow.
            InvalidSettingError: the stream ends before ``part`` begins.
        """
        held: PlacedSegment | None = None
        lead, frames = LeadIn(self.header, part, self._limits), 0
        before: list[PlacedSegment] = []
        try:
            for placed in self._placed_for(part, hands_on):
                if held:
                    yield _with_anchor(held, placed, self._limits)
                    held = None
                if part.ends_before(placed.first_frame):
                    return
                frames = placed.first_frame + placed.frames
                if frames > part.first:
                    yield from before
                    before.clear()
                    held = replace(placed, lead_in=pack_audio(lead.packets)) if lead.packets else placed
                    lead.packets = []
                else:
                    lead.add(placed.segment, placed.first_frame, placed.frames)
                    if hands_on and hands_on(placed.segment):
                        before.append(placed)
                    else:
                        before.clear()
        except (TruncatedStreamError, CorruptStreamError) as error:
            if held is None:
                raise
            self.damage = error
        if held is None and frames:
            raise nothing_there(part, frames, frame_rate(self.header))
        if held is None:
            raise CorruptStreamError("the stream has no segment", self.head_bytes)
        yield replace(held, closes_stream=True)

    def index(self) -> Index | None:
        """Return where the segments stand, where that is known without reading them; see ``read_index``."""
        if not can_seek(self._file):
            return None
        file = cast(Seekable, self._file)
        position = file.seek(0, 1)
        index = read_index(file, self.head_bytes, self.header, self._limits)
        file.seek(position)
        return index

    def _placed_for(self, part: Part, hands_on: Callable[[pb.Segment], bool] | None) -> Iterator[PlacedSegment]:
        """Yield the segments that ``part`` needs, and maybe more; the last may be the first that it needs no more."""
        index = self.index() if part.first else None
        if index is None:
            return self._placed(self._packets)
        if part.first >= index.frames:
            raise nothing_there(part, index.frames, frame_rate(self.header))
        file = cast(Seekable, self._file)
        position = file.seek(0, 1)
        number = self._first_needed(index, part, hands_on)
        if not number:
            file.seek(position)
            return self._placed(self._packets)
        packets = islice(self._packets_at(index, number), len(index.offsets) - number)
        return _confirmed(self._placed(packets, number, index.first_frames[number]), index)

    def _first_needed(self, index: Index, part: Part, hands_on: Callable[[pb.Segment], bool] | None) -> int:
        """Return which segment has the first frame of ``part``, or an earlier one of which it needs something."""
        by_text = by_sound = index.segment_of(part.first)
        while hands_on and by_text and (by_text == 1 or hands_on(self._segment_at(index, by_text - 1))):
            by_text -= 1  # the stream's first segment is not read apart: if it hands nothing on, it is passed over
        while by_text and repeats_text(self._segment_at(index, by_text), self._limits):
            by_text -= 1
            if by_text and closes_shot(self._segment_at(index, by_text)):
                break
        if self.header.HasField("audio"):
            track, rate = self.header.audio, frame_rate(self.header)
            lead = lead_packet(self.header, part)
            while by_sound and first_packet(track, rate, index.first_frames[by_sound]) > lead:
                by_sound -= 1
        return min(by_text, by_sound)

    def _segment_at(self, index: Index, number: int) -> pb.Segment:
        return next(self._packets_at(index, number)).packet.segment

    def _packets_at(self, index: Index, number: int) -> Iterator[ReadPacket]:
        """Yield the packets from a segment on, not the stream's first."""
        offset = index.offsets[number]
        cast(Seekable, self._file).seek(offset)
        return read_packets_from(self._file, offset, self._limits)

    def _placed(self, packets: Iterator[ReadPacket], index: int = 0, first_frame: int = 0) -> Iterator[PlacedSegment]:
        """Yield segments from packets, the first of which is segment ``index`` and starts with ``first_frame``."""
        before = ""  # whole text of the last segment, where the next may repeat it
        sizes: list[int] = []
        counts: list[int] = []
        for read in packets:
            kind = read.packet.WhichOneof("kind")
            if kind == "segment":
                frames = check_frames(read.packet.segment, self.header, self._limits)
                if not frames:
                    raise CorruptStreamError("a segment has no frames", read.offset)
                self._limits.check("segments", index + 1)
                segment = read.packet.segment
                text = repeated_text(segment, before, self._limits)
                yield PlacedSegment(segment, index, first_frame, frames, read.offset, read.size, text=text)
                before = "" if closes_shot(segment) else text or own_text(segment, self._limits)
                index, first_frame = index + 1, first_frame + frames
                sizes.append(read.size)
                counts.append(frames)
            elif kind == "trailer":
                self._check_trailer(read, sizes, counts)
                self.trailer, self.trailer_bytes = read.packet.trailer, read.size
            elif kind is None:
                self.skipped_bytes += read.size
            else:
                raise CorruptStreamError(f"a second {kind} packet", read.offset)
            self._source.settle()

    def _check_trailer(self, read: ReadPacket, sizes: list[int], counts: list[int]) -> None:
        trailer = read.packet.trailer
        size = len(trailer.sha256)
        if not SHA256_BYTES <= size <= MOST_SHA256_BYTES or trailer.sha256 != self._source.digest()[:size]:
            raise CorruptStreamError("the trailer's SHA-256 does not fit the stream", read.offset)
        nominal = counts if len(counts) == 1 else [self.header.segment_frames] * len(counts)
        indexed = list(trailer.segment_bytes) or sizes[:1]
        if indexed != sizes or (list(trailer.segment_frames) or nominal) != counts:
            raise CorruptStreamError("the trailer's index does not fit the segments", read.offset)


def _confirmed(segments: Iterator[PlacedSegment], index: Index) -> Iterator[PlacedSegment]:
    for placed in segments:
        if (placed.offset, placed.first_frame) != (index.offsets[placed.index], index.first_frames[placed.index]):
            raise CorruptStreamError("the trailer's index does not fit the segments", placed.offset)
        yield placed


def _with_anchor(placed: PlacedSegment, following: PlacedSegment, limits: Limits) -> PlacedSegment:
    """Return ``placed`` with the first picture of the segment after it, where that shows one of the same shot."""
    kind = following.segment.WhichOneof("content")
    if closes_shot(placed.segment) or kind in (None, "text"):
        return placed
    try:
        return replace(placed, next_anchor=first_picture(getattr(following.segment, kind), limits))
    except BitstreamError as error:
        raise CorruptStreamError(str(error), following.offset) from None
