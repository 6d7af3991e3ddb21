"""The modes of a segment and the content field that each is known by."""

from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2

Mode = common_pb2.Mode

MODE_OF_CONTENT: dict[str, Mode.ValueType] = {
    "text": common_pb2.MODE_TT2V,
    "keyframes": common_pb2.MODE_IT2V,
    "guide": common_pb2.MODE_VT2V,
    "video": common_pb2.MODE_CODED,
}
MODE_NAMES: dict[Mode.ValueType, str] = {
    common_pb2.MODE_TT2V: "tt2v",
    common_pb2.MODE_IT2V: "it2v",
    common_pb2.MODE_VT2V: "vt2v",
    common_pb2.MODE_CODED: "coded",
}
MODES_BY_NAME = {name: mode for mode, name in MODE_NAMES.items()}


def mode_of(segment: pb.Segment) -> Mode.ValueType:
    """Return the segment's mode, ``MODE_UNSPECIFIED`` where this version does not know it."""
    return MODE_OF_CONTENT.get(segment.WhichOneof("content") or "", common_pb2.MODE_UNSPECIFIED)


def mode_name(segment: pb.Segment) -> str:
    """Return the segment's mode in lower case, ``unknown`` where this version does not know it."""
    return MODE_NAMES.get(mode_of(segment), "unknown")
