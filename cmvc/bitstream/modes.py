"""The modes of a segment and the content field that each is known by."""

from collections.abc import Collection, Mapping

from cmvc.errors import UnknownProfileError
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


def check_served(
    served: Mapping[str, Collection[Mode.ValueType]], profile_id: str, mode: Mode.ValueType, field: str = ""
) -> None:
    """Return if a segment can be decoded with one of the profiles ``served``; its mode may be one that is not known.

    Args:
        served: the modes of each profile, by its id.
        profile_id: that the segment is for.
        mode: of the segment.
        field: of the request, that named the profile; "" where none did.

    Raises:
        UnknownProfileError: it cannot.
    """
    if profile_id not in served:
        raise UnknownProfileError(
            f"the profile '{profile_id}' is not served here; served: {', '.join(served)}; choose one with --profile",
            field=field,
        )
    if mode in MODE_NAMES and mode not in served[profile_id]:
        able = ", ".join(each for each, modes in served.items() if mode in modes)
        raise UnknownProfileError(
            f"the profile '{profile_id}' does not decode {MODE_NAMES[mode]}; served here and able: {able}; "
            "choose one with --profile",
            field=field,
        )


def mode_of(segment: pb.Segment) -> Mode.ValueType:
    """Return the segment's mode, ``MODE_UNSPECIFIED`` where this version does not know it."""
    return MODE_OF_CONTENT.get(segment.WhichOneof("content") or "", common_pb2.MODE_UNSPECIFIED)


def mode_name(segment: pb.Segment) -> str:
    """Return the segment's mode in lower case, ``unknown`` where this version does not know it."""
    return MODE_NAMES.get(mode_of(segment), "unknown")
