"""Texts of TT2V segments in a row: what one does not say again (docs/bitstream.md, "TT2V")."""

from cmvc.bitstream.text import decode_text, normalise
from cmvc.errors import BitstreamError, LimitError
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb


def own_text(segment: pb.Segment, limits: Limits) -> str:
    """Return what a TT2V segment itself says; empty for other modes, and where it cannot be decoded.

    A text that cannot be decoded is an error to whoever decodes the segment, not to those after it.
    """
    if segment.WhichOneof("content") != "text":
        return ""
    try:
        return normalise(decode_text(segment.text, limits))
    except (BitstreamError, LimitError):
        return ""


def repeats_text(segment: pb.Segment, limits: Limits) -> bool:
    """Return whether a segment leaves lines out that stand in the segment before it, where that is of the same shot."""
    if segment.WhichOneof("content") != "text":
        return False
    content, line_feed, _ = own_text(segment, limits).partition("\n")
    return not segment.text or bool(line_feed and not content)


def repeated_text(segment: pb.Segment, before: str, limits: Limits) -> str:
    """Return the whole text of a TT2V segment that leaves lines out, taken from the segment before it.

    Args:
        segment: the segment.
        before: whole text of the segment before it in the same shot; empty where there is none, or it is not TT2V.
        limits: for texts.

    Returns:
        the whole text; empty where the segment repeats nothing.
    """
    if not before or not repeats_text(segment, limits):
        return ""
    if not segment.text:
        return before
    motion = own_text(segment, limits).partition("\n")[2]
    return "\n".join([before.partition("\n")[0], motion]).rstrip()
