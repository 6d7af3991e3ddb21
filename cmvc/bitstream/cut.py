"""What a part of a stream takes along of what is said for all of it: its header, and its sound.

The video that comes of a part starts at time 0. Its sound begins a little earlier with the packets from which a decoder
settles, and its header says how many samples of them are not to be heard.
"""

from collections.abc import Sequence
from fractions import Fraction

from cmvc.bitstream.audio import first_packet, unpack_audio
from cmvc.limits import Limits
from cmvc.part import Part
from cmvc.v1 import bitstream_pb2 as pb

PREROLL_SECONDS = Fraction(2, 25)  # of sound before the part from which a decoder settles; 80 ms for Opus (RFC 7845)


def lead_packet(header: pb.StreamHeader, part: Part) -> int:
    """Return the number, in the stream, of the first packet of sound that a part has; the header has a track."""
    if not part.first:
        return 0
    track = header.audio
    start = _samples(header, part.first) + track.skip_samples
    return max(int((start - PREROLL_SECONDS * track.sample_rate) // track.packet_samples), 0)


def part_header(header: pb.StreamHeader, part: Part) -> pb.StreamHeader:
    """Return the header of the video that comes of a part: sound and chapters moved to its start."""
    if not part.first and part.end is None:
        return header
    moved = pb.StreamHeader()
    moved.CopyFrom(header)
    if header.HasField("audio"):
        lead = lead_packet(header, part) * header.audio.packet_samples
        moved.audio.skip_samples = round(_samples(header, part.first)) + header.audio.skip_samples - lead
    if header.metadata.chapters:
        cut_chapters(moved.metadata, part, _rate(header))
    return moved


def part_sound(
    header: pb.StreamHeader, part: Part, packets: Sequence[bytes], number: int
) -> tuple[Sequence[bytes], int]:
    """Return those ``packets`` that a part has, and the number of the first of them in it.

    Args:
        header: of the stream; it has a track of sound.
        part: of the stream.
        packets: one after the other.
        number: of the first of them in the stream.
    """
    lead = lead_packet(header, part)
    end = number + len(packets)
    if part.end is not None:
        end = min(end, first_packet(header.audio, _rate(header), part.end))
    first = max(lead, number)
    return packets[first - number : max(end - number, 0)], first - lead


class LeadIn:
    """Collects the sound of segments before a part that it takes along."""

    def __init__(self, header: pb.StreamHeader, part: Part, limits: Limits) -> None:
        self._header, self._part, self._limits = header, part, limits
        self._from = lead_packet(header, part) if header.HasField("audio") else 0
        self.packets: list[bytes] = []

    def add(self, segment: pb.Segment, first_frame: int, frames: int) -> None:
        """Take note of the next segment before the part.

        Raises:
            CorruptStreamError, LimitError: see ``unpack_audio``.
        """
        if not self._header.HasField("audio"):
            return
        track, rate = self._header.audio, _rate(self._header)
        first, end = first_packet(track, rate, first_frame), first_packet(track, rate, first_frame + frames)
        if end > self._from:
            packets = unpack_audio(segment.audio, self._limits)
            self.packets += packets[max(self._from - first, 0) :]
            if first + len(packets) != end:  # the sound has ended
                self.packets.clear()


def _rate(header: pb.StreamHeader) -> Fraction:
    return Fraction(header.frame_rate_numerator, header.frame_rate_denominator or 1)


def _samples(header: pb.StreamHeader, frame: int) -> Fraction:
    return frame / _rate(header) * header.audio.sample_rate


def cut_chapters(metadata: pb.Metadata, part: Part, rate: Fraction) -> None:
    """Leave the chapters that a part shows, moved to its start; the first of them goes on from before it.

    Args:
        metadata: of the whole video; what is changed.
        part: of the video.
        rate: in frames per second.
    """
    start = round(1000 * part.first / rate)
    end = None if part.end is None else round(1000 * part.end / rate)
    found: list[pb.Chapter] = []
    for chapter in metadata.chapters:
        if chapter.start_ms <= start and part.first:
            found.clear()
        if end is None or chapter.start_ms < end:
            found.append(pb.Chapter(start_ms=max(chapter.start_ms - start, 0), title=chapter.title))
    del metadata.chapters[:]
    metadata.chapters.extend(found)
