"""The picture size and the quantiser of an AV1 payload, without decoding it."""

from dataclasses import dataclass

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.payload import payload_obus
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import ObuType, Stream
from cmvc.errors import CorruptStreamError
from cmvc.limits import DEFAULT_LIMITS, Limits

_WITH_FRAME_HEADER = (ObuType.FRAME, ObuType.FRAME_HEADER)


@dataclass(frozen=True)
class FirstHeaders:
    """What the headers at a payload's start say.

    Attributes:
        size: width and height that the sequence header names.
        base_q_idx: of the first picture, 0 (finest) to 255; None where no picture follows.
    """

    size: tuple[int, int]
    base_q_idx: int | None


def first_headers(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> FirstHeaders | None:
    """Return what a payload starts with; None where that is no sequence header.

    Raises:
        BitstreamError: the bytes are not OBUs with their sizes, or not what ``pack`` gives.
        LimitError: there is more than ``limits`` allow.
    """
    stream = Stream()
    for kind, data in payload_obus(payload, limits):
        try:
            Reading(data).payload(stream, next(obus(data)))
        except NotPackableError:
            break
        if stream.sequence is None:
            return None
        if kind in _WITH_FRAME_HEADER:
            return FirstHeaders((stream.sequence.width, stream.sequence.height), stream.frame.base_q_idx)
    return FirstHeaders((stream.sequence.width, stream.sequence.height), None) if stream.sequence else None


def first_quantiser(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return ``base_q_idx``, 0..255, of a payload's first picture.

    Raises:
        BitstreamError: the payload is damaged, or starts with no picture.
        LimitError: there is more than ``limits`` allow.
    """
    headers = first_headers(payload, limits)
    if headers is None or headers.base_q_idx is None:
        raise CorruptStreamError("AV1 data start with no picture")
    return headers.base_q_idx
