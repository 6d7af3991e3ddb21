"""From a segment's bytes to what a generator may know about it."""

from collections.abc import Iterator
from itertools import islice, pairwise

from cmvc.bitstream.modes import mode_of
from cmvc.bitstream.segments import closes_shot, coded_text, frame_count, unpack_motion
from cmvc.bitstream.stream import check_header, frame_rate
from cmvc.bitstream.text import decode_text
from cmvc.errors import CorruptStreamError, UnknownModeError
from cmvc.limits import Limits
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.motion.track import MotionTrack, decode_track
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.generators.base import Anchor, Conditions


def segment_seed(stream_seed: int, index: int) -> int:
    """Return the 32-bit seed of a segment (docs/bitstream.md, "Seeds")."""
    return (stream_seed * 0x9E3779B1 + index) & 0xFFFFFFFF


def read_conditions(request: decoder_pb2.DecodeSegmentRequest, limits: Limits) -> Conditions:
    """Return the conditions of one segment, its anchors decoded.

    Raises:
        UnknownModeError: the segment is of a mode that this version does not know.
        BitstreamError: its contents cannot be decoded.
        LimitError: something in it is over the limits.
    """
    header, segment = request.header, request.segment
    check_header(header, None, limits)
    frames = limits.check("segment_frames", frame_count(segment, header.segment_frames))
    mode = mode_of(segment)
    if mode == common_pb2.MODE_UNSPECIFIED:
        raise UnknownModeError(f"segment {request.index} is of a mode that this version does not know; update it")
    is_video = mode in (common_pb2.MODE_VT2V, common_pb2.MODE_CODED)
    anchors = _anchors(request, frames, limits) if mode == common_pb2.MODE_IT2V else ()
    return Conditions(
        mode=mode,
        width=header.width,
        height=header.height,
        frames=frames,
        frame_rate=frame_rate(header),
        seed=segment_seed(header.seed, request.index),
        text=decode_text(coded_text(segment), limits),
        anchors=anchors,
        guide=_guide(segment, frames, limits) if is_video else (),
        frame_step=segment.frame_step or 1,
        next_guide=_next_picture(request, limits) if is_video and segment.frame_step > 1 else None,
        motion=_motion(segment, anchors, limits),
        settings=dict(request.profile.settings),
    )


def keyframe_positions(segment: pb.Segment, frames: int, count: int) -> list[int]:
    """Return where the ``count`` keyframes of an IT2V segment stand (docs/bitstream.md, "IT2V").

    Raises:
        CorruptStreamError: the stored positions do not rise, leave the segment, or are not as many as the keyframes.
    """
    if not segment.keyframe_positions:
        gaps, last = (count - 1, frames - 1) if closes_shot(segment) else (count, frames)
        return [k * last // max(gaps, 1) for k in range(count)]
    positions = [0, *segment.keyframe_positions]
    rising = all(a < b for a, b in pairwise(positions))
    if len(positions) != count or not rising or positions[-1] >= frames:
        raise CorruptStreamError(f"keyframe positions {positions} do not fit {count} keyframes in {frames} frames")
    return positions


def _anchors(request: decoder_pb2.DecodeSegmentRequest, frames: int, limits: Limits) -> tuple[Anchor, ...]:
    segment = request.segment
    pictures = list(islice(av1.decode(segment.keyframes, limits), limits.keyframes + 1))
    if not pictures:
        raise CorruptStreamError(f"segment {request.index} has no keyframe")
    limits.check("keyframes", len(pictures))
    positions = keyframe_positions(segment, frames, len(pictures))
    anchors = [Anchor(p, picture) for p, picture in zip(positions, pictures, strict=True)]
    if not closes_shot(segment) and (following := _next_picture(request, limits)):
        anchors.append(Anchor(frames, following))
    return tuple(anchors)


def _next_picture(request: decoder_pb2.DecodeSegmentRequest, limits: Limits) -> Picture | None:
    return next(av1.decode(request.next_anchor, limits)) if request.next_anchor else None


def _guide(segment: pb.Segment, frames: int, limits: Limits) -> Iterator[Picture]:
    """Decode lazily: a segment's pictures are many, and the first is wanted soon."""
    step = segment.frame_step or 1
    wanted = -(-frames // step)
    count = 0
    for count, picture in enumerate(av1.decode(segment.guide or segment.video, limits), 1):
        if count > wanted:
            raise CorruptStreamError(f"a segment of {frames} frames holds more than {wanted} coded pictures")
        yield picture
    if count < wanted:
        raise CorruptStreamError(f"a segment of {frames} frames holds {count} coded pictures instead of {wanted}")


def _motion(segment: pb.Segment, anchors: tuple[Anchor, ...], limits: Limits) -> MotionTrack | None:
    track = unpack_motion(segment.motion)[1]
    return decode_track(track, limits) if anchors and track else None
