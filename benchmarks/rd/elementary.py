"""Bytes of an elementary stream that a decoder needs for its pictures.

Left out, in the baselines' favour: AV1 temporal delimiters, metadata and padding; in Annex B streams supplemental
enhancement information (among it x264's and x265's lines of settings), access unit delimiters and filler. Parameter
sets, sequence headers, start codes and OBU headers count as they were written. There is no container.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cmvc.bitstream.obu import split_obus
from cmvc.errors import BitstreamError

_AV1_NO_PICTURE = {2, 5, 15}  # OBU_TEMPORAL_DELIMITER, OBU_METADATA, OBU_PADDING (AV1 specification 6.2.2)
_START = re.compile(rb"\x00?\x00\x00\x01")  # a zero byte in front belongs to the start code (Annex B.1)


@dataclass(frozen=True)
class _NalUnits:
    """Where a NAL unit's header has its type, and the types that carry no picture."""

    type_of: Callable[[bytes], int]
    no_picture: frozenset[int]


_NAL_UNITS = {
    ".h264": _NalUnits(lambda head: head[0] & 31, frozenset({6, 9, 12})),  # H.264, table 7-1
    ".h265": _NalUnits(lambda head: head[0] >> 1 & 63, frozenset({35, 38, 39, 40})),  # H.265, table 7-1
    ".h266": _NalUnits(lambda head: head[1] >> 3, frozenset({20, 23, 24, 25})),  # H.266, table 5
}


def picture_bytes(data: bytes, suffix: str) -> int:
    """Return how many of a stream's bytes count; ``suffix`` is ``.obu``, ``.h264``, ``.h265`` or ``.h266``.

    Raises:
        BitstreamError: the data is no such stream.
    """
    if suffix == ".obu":
        return sum(len(obu) for kind, obu in split_obus(data) if kind not in _AV1_NO_PICTURE)
    units = _NAL_UNITS[suffix]
    return sum(size for head, size in _nal_units(data) if units.type_of(head) not in units.no_picture)


def _nal_units(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the first two bytes of each NAL unit and its size, start code included."""
    starts = list(_START.finditer(data))
    if not starts or starts[0].start():
        raise BitstreamError("an Annex B stream begins with a start code")
    ends = [start.start() for start in starts[1:]] + [len(data)]
    for start, end in zip(starts, ends, strict=True):
        head = data[start.end() : min(start.end() + 2, end)]
        if len(head) < 2:
            raise BitstreamError("a NAL unit is shorter than its header")
        yield head, end - start.start()
