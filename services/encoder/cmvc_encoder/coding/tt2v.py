"""TT2V: windows as captions, some two seconds each; for a model, as long each as one of its windows.

What a model makes of one text and one noise is one scene, and its noise follows from the content. So all segments of a
shot carry the content of its first, and only the motion is told anew.
"""

from itertools import accumulate

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.text import encode_text, normalise
from cmvc.control import Control
from cmvc.profiles import embedded
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import STILL, Description, SemanticExtractor
from cmvc_encoder.semantics.shorten import coded_size, cut, fit

BYTES_PER_SECOND = 118  # of packets; past this (944 bit/s) a caption reads like a list and shows little more
LEAST_BYTES_PER_SECOND = 20  # at quality 1
_FLOOR_BYTES = 12  # of text; names the main colour


class Tt2vCoder:
    """Codes windows as text; see ``ModeCoder``."""

    def __init__(self, extractor: SemanticExtractor, generator: Profile = embedded.PROFILE, content: str = "") -> None:
        """Keep who writes the captions, for whom, and what the shot's text shows so far (see ``Trial``)."""
        self._extractor = extractor
        self._generator = generator
        self._content = content  # of the shot's first segment, where a model shows it all through

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return captions whose packets take at most ``byte_budget`` bytes; see ``ModeCoder``."""
        most = int(BYTES_PER_SECOND * window.seconds)
        segments = self._segments(window, min(byte_budget, most), control)
        size = sum(map(_packet_size, segments))
        return Trial(
            segments,
            size,
            score=0.0,
            saturated=byte_budget >= most,
            floor=size > byte_budget,
            content=self._content,
        )

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return captions of 20 to 118 bytes a second: 1 names the main colours, 100 all that the grammar can say."""
        rate = LEAST_BYTES_PER_SECOND + (BYTES_PER_SECOND - LEAST_BYTES_PER_SECOND) * (quality - 1) / 99
        return self.encode(window, int(rate * window.seconds), control)

    def _segments(self, window: Window, byte_budget: int, control: Control) -> list[pb.Segment]:
        """Share the budget out by duration; what one segment leaves over goes to those after it."""
        longest = self._generator.text_frames(window.frame_rate)
        is_model = isinstance(self._generator, ModelProfile)
        runs = (model_runs if is_model else segment_runs)(len(window.pictures), longest)
        if window.opens_shot:
            self._content = ""
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
            if is_model:
                found = self._in_one_world(found, room, said)
            segment.text = encode_text(normalise(found.text))
            byte_budget -= _packet_size(segment)
            segments.append(segment)
            said = _told(said, found)
        return segments

    def _in_one_world(self, found: Description, room: int, said: Description | None) -> Description:
        """Return the description with the content of the shot's first, which is left out where it was just said."""
        if not self._content:
            self._content = found.content
            return found
        if said is None:  # the first of a window says all of it, as what was before may not be text
            if coded_size(self._content) > room:
                return fit(self._content, found.motion, room)
            motion = cut(found.motion, room, lambda text: coded_size(f"{self._content}\n{text}"))
            return Description(self._content, motion)
        if not found.text or found.motion == said.motion:
            return Description("", "")
        return Description("", cut(found.motion or STILL, room - 1))  # one byte is the line feed's


def model_runs(frames: int, longest: int) -> list[int]:
    """Return the frame counts of the segments: ``longest`` each; a short remainder shares with the one before."""
    whole, rest = divmod(frames, longest)
    runs = [longest] * whole + [rest] * bool(rest)
    if rest and whole and 2 * rest < longest:
        both = longest + rest
        runs[-2:] = [both - both // 2, both // 2]
    return runs


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
