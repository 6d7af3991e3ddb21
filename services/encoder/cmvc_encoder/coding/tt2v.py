"""TT2V: windows as captions, some two seconds each."""

from itertools import accumulate

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.text import encode_text, normalise
from cmvc.control import Control
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description, SemanticExtractor

SEGMENT_SECONDS = 2
BYTES_PER_SECOND = 118  # of packets; past this (944 bit/s) a caption reads like a list and shows little more
LEAST_BYTES_PER_SECOND = 20  # at quality 1
_FLOOR_BYTES = 12  # of text; names the main colour


class Tt2vCoder:
    """Codes windows as text; see ``ModeCoder``."""

    def __init__(self, extractor: SemanticExtractor) -> None:
        """Keep who writes the captions."""
        self._extractor = extractor

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return captions whose packets take at most ``byte_budget`` bytes; see ``ModeCoder``."""
        most = int(BYTES_PER_SECOND * window.seconds)
        segments = self._segments(window, min(byte_budget, most), control)
        size = sum(map(_packet_size, segments))
        return Trial(segments, size, score=0.0, saturated=byte_budget >= most, floor=size > byte_budget)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return captions of 20 to 118 bytes a second: 1 names the main colours, 100 all that the grammar can say."""
        rate = LEAST_BYTES_PER_SECOND + (BYTES_PER_SECOND - LEAST_BYTES_PER_SECOND) * (quality - 1) / 99
        return self.encode(window, int(rate * window.seconds), control)

    def _segments(self, window: Window, byte_budget: int, control: Control) -> list[pb.Segment]:
        """Share the budget out by duration; what one segment leaves over goes to those after it."""
        runs = segment_runs(len(window.pictures), int(SEGMENT_SECONDS * window.frame_rate))
        ends = list(accumulate(runs))
        spans = [range(end - count, end) for count, end in zip(runs, ends, strict=True)]
        self._extractor.prepare(window, spans)
        segments: list[pb.Segment] = []
        said: Description | None = None
        for frames in spans:
            control.check()
            share = byte_budget * len(frames) // (len(window.pictures) - frames.start)
            segment = new_segment(len(frames), closes_shot=window.closes_shot and frames is spans[-1])
            segment.text = b""
            room = max(share - _packet_size(segment) - 1, _FLOOR_BYTES)  # 1: a longer text may take a longer length
            found = self._extractor.describe(window, frames, room, said)
            segment.text = encode_text(normalise(found.text))
            byte_budget -= _packet_size(segment)
            segments.append(segment)
            said = _told(said, found)
        return segments


def _told(said: Description | None, found: Description) -> Description:
    """Return what a viewer knows after ``found``, whose empty lines repeat what was said."""
    if said is None or found.content:
        return found
    return Description(said.content, found.motion or said.motion)


def segment_runs(frames: int, nominal: int) -> list[int]:
    """Return the frame counts of the segments: ``nominal`` each; a remainder under half of that joins the last."""
    nominal = max(nominal, 1)
    whole, rest = divmod(frames, nominal)
    runs = [nominal] * whole
    if rest and (not runs or 2 * rest >= nominal):
        return [*runs, rest]
    if rest:
        runs[-1] += rest
    return runs


def _packet_size(segment: pb.Segment) -> int:
    return len(frame_packet(pb.Packet(segment=segment)))
