"""What pipelines yield: plain records, which servicers and the in-process client turn into messages or bytes.

They carry no checksums and know nothing of a transport; ``cmvc.wire.messages`` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StreamBytes:
    """The next bytes of the output, of any size.

    Attributes:
        data: of a CMVC stream when encoding, of a video when decoding.
    """

    data: bytes


@dataclass(frozen=True)
class Progress:
    """How far the work has come.

    Attributes:
        frames_done: finished.
        frames_total: in all; 0 while that is not known.
        stream_bytes: of the CMVC stream written or read.
        seconds_done: of video that ``frames_done`` stand for.
        frames_read: of the source, by an encoder.
    """

    frames_done: int
    frames_total: int = 0
    stream_bytes: int = 0
    seconds_done: float = 0.0
    frames_read: int = 0


@dataclass(frozen=True)
class SegmentCoding:
    """How the pictures of a segment were coded as AV1.

    Attributes:
        width, height: coded size in pixels.
        frame_step: source frames for each coded frame.
        crf, preset: of SVT-AV1.
        measure: what quality was measured by.
        decibels: that quality, at the working size.
    """

    width: int
    height: int
    frame_step: int
    crf: float
    preset: int
    measure: str
    decibels: float


@dataclass(frozen=True)
class EncodeSummary:
    """What came out of an encode; its last record.

    Attributes:
        frames: encoded.
        stream_bytes: of the whole stream.
        bits_per_second: reached.
        notes: what the user should know, one line each.
        codings: of the segments, in order; None for text.
    """

    frames: int
    stream_bytes: int
    bits_per_second: float
    notes: Sequence[str] = ()
    codings: Sequence[SegmentCoding | None] = ()


@dataclass(frozen=True)
class Prologue:
    """What stands once before the first segment of a video: MP4 init segment or Y4M header line."""

    data: bytes


@dataclass(frozen=True)
class Tail:
    """What the next segment goes on from (see ``cmvc.profiles.continuity``).

    Attributes:
        data: AV1 OBUs of frames past the segment's end, at the model's own size.
    """

    data: bytes


@dataclass(frozen=True)
class Remark:
    """What the user should know of a segment.

    Attributes:
        note: one line (see ``cmvc.notes``), alike for all segments of which it says the same.
    """

    note: str


@dataclass(frozen=True)
class SegmentSummary:
    """What came out of one segment; its last record.

    Attributes:
        frames: decoded.
        size: bytes of the data yielded.
    """

    frames: int
    size: int


@dataclass(frozen=True)
class DecodeSummary:
    """What came out of a decode; its last record.

    Attributes:
        frames: decoded.
        segments: decoded.
        notes: what the user should know, one line each, such as a stream that was cut off.
    """

    frames: int
    segments: int
    notes: Sequence[str] = ()


EncodeRecord = StreamBytes | Progress | EncodeSummary
SegmentRecord = Progress | Prologue | Tail | Remark | StreamBytes | SegmentSummary
DecodeRecord = StreamBytes | Progress | DecodeSummary
