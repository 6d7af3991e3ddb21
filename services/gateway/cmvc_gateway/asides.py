"""What a decoder sends beside the video of a segment: bounded, for one that is wrong must not fill the gateway."""

from cmvc.errors import LimitError, ServerError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.v1 import decoder_pb2


def check_asides(message: decoder_pb2.DecodeSegmentResponse, notes: int, address: str) -> None:
    """Return where what is beside the data of ``message`` may be kept, with ``notes`` kept of the segment before it.

    Raises:
        ServerError: it is more than any decoder that is right sends; the decoder at ``address`` is wrong.
    """
    try:
        DEFAULT_LIMITS.check("segment_notes", notes + bool(message.note))
        DEFAULT_LIMITS.check("prologue_bytes", len(message.prologue))
        DEFAULT_LIMITS.check("tail_bytes", len(message.tail))
    except LimitError as error:
        raise ServerError(
            f"the decoder {address} sent more beside a segment than it may: {error}; update it, or see its log"
        ) from None
