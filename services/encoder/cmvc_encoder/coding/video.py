"""VT2V and CODED: a small AV1 video whose scale, frame rate and quantiser suit the byte budget."""

from dataclasses import replace

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.text import encode_text, normalise
from cmvc.control import Control
from cmvc.restoration.restorer import Restorer
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.codings import Coded, score
from cmvc_encoder.coding.effort import DEFAULT, Effort
from cmvc_encoder.coding.expectations import Memory, Seen
from cmvc_encoder.coding.measure import DEFAULT_MEASURE
from cmvc_encoder.coding.mode import Made, Trial
from cmvc_encoder.coding.payload import payload
from cmvc_encoder.coding.quality import cheapest, quality_db
from cmvc_encoder.coding.quantisers import FINEST_CRF
from cmvc_encoder.coding.search import Search
from cmvc_encoder.coding.shapes import STEPS
from cmvc_encoder.coding.showing import Shown
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.profile_table import RESTORED_PROFILE
from cmvc_encoder.semantics.base import SemanticExtractor

CAPTION_SHARE = 0.1  # of the budget at most
CAPTION_BYTES = 120  # at most, whatever the budget
UNBOUNDED = 1 << 62  # bytes


class VideoCoder:
    """Codes windows as CODED (``content="video"``) or VT2V (``content="guide"``, with a caption).

    With a restorer, segments say whether they are to be restored: where that measures better. Those that are become
    VT2V, the AV1 data being the same.
    """

    def __init__(
        self,
        content: str,
        extractor: SemanticExtractor | None = None,
        effort: Effort = DEFAULT,
        seen: Seen | None = None,
        restorer: Restorer | None = None,
    ) -> None:
        """Keep how windows are coded.

        Args:
            content: name of the segment's content field.
            extractor: writes captions; None for no captions.
            effort: how much work goes into a coding.
            seen: see ``Memory``.
            restorer: of the decoder; None where it only scales.
        """
        self._content = content
        self._extractor = extractor
        self._effort = effort
        self._restorer = restorer
        self._memory = Memory(seen)

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best coding of at most ``byte_budget`` bytes; see ``ModeCoder``."""
        caption = self._caption(window, byte_budget)
        room = byte_budget - self._overhead(window, caption)
        coded = Search(window, room, self._memory, self._effort, control).best()
        return self._trial(window, coded, caption, byte_budget)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return the cheapest coding that measures what ``quality`` stands for; see ``coding.quality``."""
        coded = cheapest(window, quality_db(quality), self._effort, control)
        return self._trial(window, coded, self._caption(window, UNBOUNDED), UNBOUNDED)

    def _caption(self, window: Window, byte_budget: int) -> bytes:
        """Return the coded caption; empty where the budget leaves no room for one."""
        if self._extractor is None:
            return b""
        most = min(int(byte_budget * CAPTION_SHARE), CAPTION_BYTES)
        return encode_text(normalise(self._extractor.describe(window, range(len(window.pictures)), most).text))

    def _segment(self, window: Window, shown: Shown, obus: bytes, caption: bytes) -> pb.Segment:
        segment = new_segment(len(window.pictures), closes_shot=window.closes_shot)
        segment.frame_step = shown.step if shown.step > 1 else 0
        segment.follows_motion = shown.step > 1 and shown.by_motion
        segment.caption = caption
        segment.profile = RESTORED_PROFILE if shown.restorer else 0
        setattr(segment, "guide" if shown.restorer else self._content, obus)
        return segment

    def _overhead(self, window: Window, caption: bytes) -> int:
        """Return the size of a packet around its OBUs, at most."""
        empty = self._segment(window, Shown(max(STEPS), restorer=self._restorer), b"-", caption)
        return len(frame_packet(pb.Packet(segment=empty))) + 3  # two lengths grow by up to 2 bytes each, less the dash

    def _shown(self, window: Window, coded: Coded) -> tuple[Shown, float]:
        """Return how a coding is best shown, and the dB: filled in between, then scaled or restored."""
        step, effort = coded.shape.step, self._effort
        scaled = [Shown(step, by_motion) for by_motion in ((True, False) if step > 1 else (True,))]
        scores = {each: score(window, coded, effort.measure_every, each) for each in scaled}
        best = max(scaled, key=lambda each: scores[each])
        if self._restorer is None:
            return best, scores[best]
        restored = replace(best, restorer=self._restorer)
        without, gained = (score(window, coded, effort.restore_every, each, least=3) for each in (best, restored))
        return (restored if gained >= without else best), scores[best] + max(gained - without, 0.0)

    def _trial(self, window: Window, coded: Coded, caption: bytes, byte_budget: int) -> Trial:
        """Return what was coded as a trial: restored, and filled in between, as measures best."""
        best, quality = self._shown(window, coded)
        segment = self._segment(window, best, coded.packed or payload(coded.obus), caption)
        size = len(frame_packet(pb.Packet(segment=segment)))
        return Trial(
            segments=[segment],
            size=size,
            score=quality,
            saturated=coded.quantiser.crf <= FINEST_CRF,
            floor=size > byte_budget,
            made=Made(coded.shape, coded.quantiser.crf, coded.preset, DEFAULT_MEASURE),
        )
