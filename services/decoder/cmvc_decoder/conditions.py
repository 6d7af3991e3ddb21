"""From a segment's bytes to what a generator may know about it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import google_crc32c

from cmvc.bitstream.av1pack.first_headers import first_quantiser
from cmvc.bitstream.header import check_header
from cmvc.bitstream.modes import mode_of
from cmvc.bitstream.segments import closes_shot, coded_text, unpack_motion
from cmvc.bitstream.stream import check_frames, check_generation, frame_rate
from cmvc.bitstream.text import decode_text, normalise
from cmvc.errors import CorruptStreamError, UnknownModeError
from cmvc.limits import Limits
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.motion.track import MotionTrack, decode_track
from cmvc.profiles.continuity import continues, hands_on
from cmvc.restoration.settings import SETTING
from cmvc.settings import ADAPTER_HASH_BYTES, ADAPTER_SETTING
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.generator import Anchor, Conditions

LEAST_CODED_SIDE = 64  # pixels that an AV1 picture may have a side, however small the source


def segment_seed(stream_seed: int, index: int) -> int:
    """Return the 32-bit seed of a segment (docs/bitstream.md, "Seeds")."""
    return (stream_seed * 0x9E3779B1 + index) & 0xFFFFFFFF


def scene_seed(stream_seed: int, text: str) -> int:
    """Return the 32-bit seed of what models make of a TT2V text: the same for all that repeat its content."""
    return segment_seed(stream_seed, google_crc32c.value(text.partition("\n")[0].encode()))


def read_conditions(
    request: decoder_pb2.DecodeSegmentRequest, limits: Limits, check: Callable[[], object] = lambda: None
) -> Conditions:
    """Return the conditions of one segment, its anchors decoded.

    Args:
        request: the segment.
        limits: bounds what is in it.
        check: asked at each keyframe, which may be long in decoding; raises to stop the work.

    Raises:
        UnknownModeError: the segment is of a mode that this version does not know.
        BitstreamError: its contents cannot be decoded.
        LimitError: something in it is over the limits.
    """
    header, segment = request.header, request.segment
    check_header(header, None, limits)
    frames = check_frames(segment, header, limits)
    if not frames:
        raise CorruptStreamError(f"segment {request.index} has no frames")
    check_generation(segment, header, request.profile, limits)
    limits.check("stream_frames", request.first_frame)
    opening = tuple(_stills(request.tail_before, limits, check)) if continues(request.profile) else ()
    limits = _coded_limits(header, limits)
    mode = mode_of(segment)
    if mode == common_pb2.MODE_UNSPECIFIED:
        raise UnknownModeError(f"segment {request.index} is of a mode that this version does not know; update it")
    is_video = mode in (common_pb2.MODE_VT2V, common_pb2.MODE_CODED)
    text = _text(request, limits)
    anchors = _anchors(request, frames, limits, check) if mode == common_pb2.MODE_IT2V else ()
    return Conditions(
        mode=mode,
        width=header.width,
        height=header.height,
        frames=frames,
        frame_rate=frame_rate(header),
        seed=segment_seed(header.seed, request.index),
        color_matrix=header.color_matrix or 1,
        text=text,
        scene_seed=scene_seed(header.seed, text) if mode == common_pb2.MODE_TT2V else None,
        opening=opening,
        hands_on=hands_on(request.profile, segment) and not request.closes_stream,
        anchors=anchors,
        guide=_guide(segment, frames, limits) if is_video else (),
        frame_step=segment.frame_step or 1,
        follows_motion=segment.follows_motion,
        quantiser=first_quantiser(segment.guide, limits)
        if SETTING in request.profile.settings and segment.guide
        else 0,
        next_guide=_next_picture(request, limits) if is_video and segment.frame_step > 1 else None,
        motion=_motion(segment, anchors, limits),
        **_profile(request.profile),
    )


def _profile(profile: pb.Profile) -> dict[str, Any]:
    settings = dict(profile.settings)
    if len(profile.adapter_sha256) not in (0, ADAPTER_HASH_BYTES):
        raise CorruptStreamError(
            f"the profile {profile.id} has an adapter hash of {len(profile.adapter_sha256)} bytes, not "
            f"{ADAPTER_HASH_BYTES}"
        )
    name = settings.pop(ADAPTER_SETTING, "")
    return {"settings": settings, "adapter": name, "adapter_sha256": profile.adapter_sha256}


def _text(request: decoder_pb2.DecodeSegmentRequest, limits: Limits) -> str:
    """Return the caption, printable whatever wrote the stream."""
    limits.check("text_bytes", len(request.text.encode()))
    return normalise(request.text or decode_text(coded_text(request.segment), limits))


def _coded_limits(header: pb.StreamHeader, limits: Limits) -> Limits:
    """Return limits for AV1 pictures: none is larger than the source, but for what AV1 encoders ask for at least."""
    width, height = (max(side + 1, LEAST_CODED_SIDE) for side in (header.width, header.height))
    return replace(limits, width=width, height=height, pixels=width * height)


def keyframe_positions(segment: pb.Segment, frames: int, count: int) -> list[int]:
    """Return where the ``count`` keyframes of an IT2V segment stand (docs/bitstream.md, "IT2V").

    Raises:
        CorruptStreamError: the positions do not rise, leave the segment, or are not as many as the keyframes.
    """
    positions = [0, *segment.keyframe_positions]
    if not segment.keyframe_positions:
        gaps, last = (count - 1, frames - 1) if closes_shot(segment) else (count, frames)
        positions = [k * last // max(gaps, 1) for k in range(count)]
    rising = all(a < b for a, b in pairwise(positions))
    if len(positions) != count or not rising or positions[-1] >= frames:
        given = len(segment.keyframe_positions)
        raise CorruptStreamError(f"{given} keyframe positions do not fit {count} keyframes in {frames} frames")
    return positions


def _anchors(
    request: decoder_pb2.DecodeSegmentRequest, frames: int, limits: Limits, check: Callable[[], object]
) -> tuple[Anchor, ...]:
    segment = request.segment
    limits.check("keyframes", len(segment.keyframe_positions))
    pictures = list(_stills(segment.keyframes, limits, check))
    if not pictures:
        raise CorruptStreamError(f"segment {request.index} has no keyframe")
    positions = keyframe_positions(segment, frames, len(pictures))
    anchors = [Anchor(p, picture) for p, picture in zip(positions, pictures, strict=True)]
    if not closes_shot(segment) and (following := _next_picture(request, limits)):
        anchors.append(Anchor(frames, following))
    return tuple(anchors)


def _stills(payload: bytes, limits: Limits, check: Callable[[], object]) -> Iterator[Picture]:
    """Decode pictures that are all kept, within the limits of keyframes."""
    limits = replace(limits, pixels=min(limits.pixels, limits.keyframe_pixels))
    for count, picture in enumerate(av1.decode(payload, limits), 1):
        check()
        limits.check("keyframes", count)
        limits.check("anchor_pixels", picture.y.size * count)
        yield picture


def _next_picture(request: decoder_pb2.DecodeSegmentRequest, limits: Limits) -> Picture | None:
    if not request.next_anchor:
        return None
    picture = next(av1.decode(request.next_anchor, limits), None)
    if picture is None:
        raise CorruptStreamError(f"the anchor after segment {request.index} shows no picture")
    return picture


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
