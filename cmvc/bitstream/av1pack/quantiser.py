"""How coarsely AV1 data were quantised, by their first frame header."""

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.payload import first_picture
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import Stream
from cmvc.errors import CorruptStreamError
from cmvc.limits import DEFAULT_LIMITS, Limits


def first_quantiser(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return ``base_q_idx``, 0..255, of the first frame of a payload, packed or not.

    Raises:
        BitstreamError: the payload is damaged, or holds no frame.
        LimitError: there is more than ``limits`` allow.
    """
    data = first_picture(payload, limits)
    stream, reading = Stream(), Reading(data)
    try:
        for obu in obus(data):
            reading.payload(stream, obu)
    except NotPackableError as error:
        raise CorruptStreamError(f"the first AV1 frame cannot be read: {error}") from None
    return stream.frame.base_q_idx
