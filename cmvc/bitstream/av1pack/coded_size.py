"""The picture size of an AV1 payload, without decoding it."""

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.payload import payload_obus
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import Stream
from cmvc.limits import DEFAULT_LIMITS, Limits


def coded_size(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int] | None:
    """Return the width and height that the sequence header at a payload's start names; None where there is none.

    Raises:
        BitstreamError: the bytes are not OBUs with their sizes, or not what ``pack`` gives.
        LimitError: there is more than ``limits`` allow.
    """
    for _, first in payload_obus(payload, limits):
        stream = Stream()
        try:
            Reading(first).payload(stream, next(obus(first)))
        except NotPackableError:
            return None
        return (stream.sequence.width, stream.sequence.height) if stream.sequence else None
    return None
