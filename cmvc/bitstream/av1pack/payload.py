"""AV1 payloads in packed form: one range-coded run of all headers, then the tile data, the last frame's first.

OBUs start with a zero bit, packed payloads with a one, so that each says itself what it is.
"""

from collections.abc import Iterator

from cmvc.bitstream.av1pack.coding import Packing, Unpacking, has_data
from cmvc.bitstream.av1pack.cost import CostCoder
from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.model import Model
from cmvc.bitstream.av1pack.odds import Odds
from cmvc.bitstream.av1pack.primer import primed
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import ObuType, Stream
from cmvc.bitstream.obu import split_obus
from cmvc.errors import BitstreamError, CorruptStreamError, LimitError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.range_coder import BitDecoder, BitEncoder

_PACKED = 0x80
_SAMPLE = 64  # OBUs that an estimate looks at
_VERSION_ZERO = (1 << 16) - (1 << 10)  # odds of version 0, the only one there is


def is_packed(payload: bytes) -> bool:
    """Return whether a payload is in packed form."""
    return bool(payload) and payload[0] >= _PACKED


def pack(data: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return AV1 data in packed form, or as they are where the packed form could not give them back or is no smaller.

    Args:
        data: OBUs with sizes.
        limits: what readers will take.
    """
    try:
        found = packed(data, limits)
        if len(found) < len(data) and unpack(found, limits) == data:
            return found
    except (NotPackableError, BitstreamError, LimitError):
        pass
    return data


def packed(data: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return AV1 data in packed form, even where that is larger.

    Raises:
        NotPackableError: there is no packed form of them.
        LimitError: there are more OBUs than ``limits`` allow.
    """
    coder = BitEncoder()
    coder.even(1, 1)
    coder.odds(_VERSION_ZERO, 0)
    stream = Stream()
    packing = Packing(data, Model(stream, coder, Odds(primed())))
    found = list(obus(data))
    limits.check("packed_obus", len(found))
    tiles = [packing.obu(stream, obu, last=obu is found[-1]) for obu in found]
    return coder.close() + b"".join(reversed(tiles))


def packed_size(data: bytes) -> int:
    """Return about how many bytes ``pack`` gives: tile data exactly, headers by those of the first OBUs."""
    coder = CostCoder()
    stream = Stream()
    packing, rest = Packing(data, Model(stream, coder, Odds(primed()))), Reading(data)
    try:
        found = list(obus(data))
        tiles = sum(len(packing.obu(stream, obu, last=obu is found[-1])) for obu in found[:_SAMPLE])
        spans = [rest.payload(stream, obu) for obu in found[_SAMPLE:]]
    except (NotPackableError, CorruptStreamError):
        return len(data)
    each = coder.bits / max(min(len(found), _SAMPLE), 1)
    return round(tiles + sum(end - start for start, end in spans) + each * len(found) / 8)


def first_picture(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the OBUs up to the first coded frame of a payload, packed or not: a picture on its own, being a keyframe.

    Raises:
        BitstreamError: there is no OBU of type OBU_FRAME, or the payload is damaged.
        LimitError: there is more than ``limits`` allow.
    """
    head: list[bytes] = []
    for kind, obu in payload_obus(payload, limits):
        head.append(obu)
        if kind == ObuType.FRAME:
            return b"".join(head)
    raise BitstreamError("AV1 data hold no frame")


def payload_obus(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[int, bytes]]:
    """Yield ``(type, bytes)`` of each OBU of a payload, packed or not, header included.

    Raises:
        BitstreamError: the bytes are not OBUs with their sizes, or not what ``pack`` gives.
        LimitError: there is more than ``limits`` allow.
    """
    if not is_packed(payload):
        yield from split_obus(payload, limits)
        return
    for obu in unpacked_obus(payload, limits):
        yield obu[0] >> 3 & 15, obu


def unpack(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the OBUs of a payload, packed or not.

    Raises:
        CorruptStreamError: the bytes are not what ``pack`` gives.
        LimitError: there are more OBUs or bytes than ``limits`` allow.
    """
    return b"".join(unpacked_obus(payload, limits)) if is_packed(payload) else payload


def unpacked_obus(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[bytes]:
    """Yield the OBUs of a packed payload as they are asked for.

    Raises:
        CorruptStreamError, LimitError: see ``unpack``.
    """
    coder = BitDecoder(payload)
    if not coder.even(1, 0) or coder.odds(_VERSION_ZERO, 0):
        raise CorruptStreamError("AV1 data are packed in a way that this version does not know; update cmvc-sdk")
    stream = Stream()
    unpacking = Unpacking(Model(stream, coder, Odds(primed())))
    end, total, count = len(payload), 0, 0
    last = False
    while not last:
        count = limits.check("packed_obus", count + 1)
        try:
            obu = unpacking.obu(stream)
        except NotPackableError as error:
            raise CorruptStreamError(f"packed AV1 data are damaged: {error}") from None
        last = obu.last
        start = end - obu.size
        if last:
            start = coder.closed()
            if start > end or (start < end and not has_data(obu.kind)):
                raise CorruptStreamError("packed AV1 data are damaged: sizes do not add up")
        if start < 0:
            raise CorruptStreamError("packed AV1 data are cut off")
        whole = obu.whole(payload[start:end])
        unpacking.finish(end - start)
        end = start
        total = limits.check("segment_bytes", total + len(whole))
        yield whole
