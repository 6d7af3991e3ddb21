"""AV1 OBU headers (AV1 specification, section 5.3): enough to cut sequences without decoding them."""

from collections.abc import Iterator

from cmvc.errors import BitstreamError
from cmvc.limits import DEFAULT_LIMITS, Limits

TEMPORAL_DELIMITER = 2
FRAME = 6


def split_obus(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[int, bytes]]:
    """Yield ``(type, bytes)`` of each OBU, header included.

    Raises:
        BitstreamError: the bytes are not OBUs with their sizes.
        LimitError: there are more than ``limits.obus``.
    """
    position = count = 0
    while position < len(data):
        end = _obu_end(data, position)
        count = limits.check("obus", count + 1)
        yield (data[position] >> 3) & 15, data[position:end]
        position = end


def _obu_end(data: bytes, position: int) -> int:
    header = data[position]
    if header & 0x80 or not header & 2:
        raise BitstreamError("AV1 data is not a sequence of OBUs with sizes")
    cursor = position + (2 if header & 4 else 1)
    size = 0
    for shift in range(0, 35, 7):
        if cursor >= len(data):
            break
        size |= (data[cursor] & 0x7F) << shift
        cursor += 1
        if data[cursor - 1] < 0x80:
            if cursor + size > len(data):
                break
            return cursor + size
    raise BitstreamError("an AV1 OBU is longer than its data")


def without_temporal_delimiters(data: bytes) -> bytes:
    """Return the OBUs of ``data`` but for the temporal delimiters, which a CMVC payload does not carry."""
    return b"".join(obu for kind, obu in split_obus(data) if kind != TEMPORAL_DELIMITER)
