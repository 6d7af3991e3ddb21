"""What is in a stream, byte for byte: the parts add up to the file's size."""

from collections.abc import Sequence
from typing import Any

from cmvc.bitstream.av1pack.first_headers import first_headers
from cmvc.bitstream.av1pack.payload import is_packed, payload_obus
from cmvc.bitstream.modes import mode_name
from cmvc.bitstream.obu import FRAME
from cmvc.bitstream.packets import ByteSource
from cmvc.bitstream.segments import av1_payload, closes_shot, coded_text, unpack_motion
from cmvc.bitstream.stream import PlacedSegment, StreamReader, frame_rate, pixel_aspect
from cmvc.bitstream.text import decode_text, normalise
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.notes import Note
from cmvc.v1 import bitstream_pb2 as pb

PREAMBLE_BYTES = 5
PARTS = ("text", "keyframe", "motion", "video", "audio", "overhead")
SATURATED_BELOW = 0.95  # of the target; less than this means that more bytes were of no use


def segment_parts(segment: pb.Segment, size: int) -> dict[str, int]:
    """Return the bytes of each part of a segment's packet of ``size`` bytes; they add up to it.

    Payload bytes count for their part; field tags, lengths, the frame and the checksum are overhead.
    """
    caption, track = unpack_motion(segment.motion)
    parts = {
        "text": len(segment.text) + len(segment.caption) + len(caption),
        "keyframe": len(segment.keyframes),
        "motion": len(track),
        "video": len(segment.guide) + len(segment.video),
        "audio": len(segment.audio.data),
    }
    return {**parts, "overhead": size - sum(parts.values())}


def inspect(source: ByteSource, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Return what ``cmvc inspect --json`` prints.

    Raises:
        BitstreamError: the bytes are not a CMVC stream with at least one whole segment.
        LimitError: something in it is over ``limits``.
    """
    reader = StreamReader(source, limits)
    segments = [segment_record(placed, reader.header, limits) for placed in reader.segments()]
    return {
        "header": header_record(reader.header),
        "profiles": [_profile(profile) for profile in _profiles(reader, segments)],
        "segments": segments,
        "totals": _totals(reader, segments),
        "notes": _notes(reader, segments),
    }


def header_record(header: pb.StreamHeader) -> dict[str, Any]:
    """Return what ``inspect`` says of a header."""
    audio = header.audio
    return {
        "width": header.width,
        "height": header.height,
        "frame_rate": str(frame_rate(header)),
        "pixel_aspect": str(pixel_aspect(header)),
        "color_primaries": header.color_primaries or 1,
        "color_transfer": header.color_transfer or 1,
        "color_matrix": header.color_matrix or 1,
        "full_range": header.full_range,
        "quarter_turns": header.quarter_turns,
        "seed": header.seed,
        "segment_frames": header.segment_frames,
        "writer_version": header.writer_version,
        "target_bits_per_second": header.target_bits_per_second,
        "metadata": _metadata(header.metadata) if header.HasField("metadata") else None,
        "audio": {
            "codec": pb.AudioCodec.Name(audio.codec).removeprefix("AUDIO_CODEC_").lower(),
            "sample_rate": audio.sample_rate,
            "channels": audio.channels,
        }
        if header.HasField("audio")
        else None,
    }


def _metadata(metadata: pb.Metadata) -> dict[str, Any]:
    return {
        "title": metadata.title,
        "language": metadata.language,
        "chapters": [{"start_s": chapter.start_ms / 1000, "title": chapter.title} for chapter in metadata.chapters],
    }


def _profiles(reader: StreamReader, segments: list[dict[str, Any]]) -> Sequence[pb.Profile]:
    """Return the table that the stream has; of an assumed one no more than segments refer to."""
    table = reader.profiles.profiles
    return table if reader.profile_bytes else table[: 1 + max((each["profile"] for each in segments), default=0)]


def _profile(profile: pb.Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "revision": profile.revision,
        "adapter": profile.settings.get("adapter", ""),
        "adapter_sha256": profile.adapter_sha256.hex(),
        "settings": dict(profile.settings),
    }


def segment_record(placed: PlacedSegment, header: pb.StreamHeader, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Return what ``inspect`` says of a segment.

    Raises:
        BitstreamError: its content is damaged.
        LimitError: something in it is over ``limits``.
    """
    segment = placed.segment
    coded = first_headers(av1_payload(segment), limits)
    return {
        "index": placed.index,
        "pts_s": round(float(placed.first_frame / frame_rate(header)), 6),
        "frames": placed.frames,
        "mode": mode_name(segment),
        "keyframes": sum(kind == FRAME for kind, _ in payload_obus(segment.keyframes, limits)),
        "packed": is_packed(av1_payload(segment)),
        "coded_size": list(coded.size) if coded else None,
        "base_q_idx": coded.base_q_idx if coded else None,
        "frame_step": segment.frame_step or 1,
        "follows_motion": segment.follows_motion,
        "closes_shot": closes_shot(segment),
        "profile": segment.profile,
        "text": normalise(placed.text or decode_text(coded_text(segment), limits)),
        "bytes": segment_parts(segment, placed.size),
    }


def _totals(reader: StreamReader, segments: list[dict[str, Any]]) -> dict[str, Any]:
    frames = sum(segment["frames"] for segment in segments)
    parts = {part: sum(segment["bytes"][part] for segment in segments) for part in PARTS}
    fixed = {
        "preamble": PREAMBLE_BYTES,
        "header": reader.header_bytes,
        "profile_table": reader.profile_bytes,
        "trailer": reader.trailer_bytes,
        "unknown": reader.skipped_bytes,
    }
    total = sum(parts.values()) + sum(fixed.values())
    seconds = float(frames / frame_rate(reader.header))
    pixels = reader.header.width * reader.header.height * frames
    return {
        "bytes": total,
        "duration_s": round(seconds, 6),
        "frames": frames,
        "bits_per_second": round(8 * total / seconds, 3),
        "bits_per_pixel": round(8 * total / pixels, 9),
        "overhead_per_segment": round(parts["overhead"] / len(segments), 2),
        "segment_bytes": parts,
        **{f"{name}_bytes": size for name, size in fixed.items()},
    }


def _notes(reader: StreamReader, segments: list[dict[str, Any]]) -> list[str]:
    notes = []
    if reader.damage:
        notes.append(f"{reader.damage.reason}: {reader.damage}; the totals count the whole segments")
    target = reader.header.target_bits_per_second
    reached = _totals(reader, segments)["bits_per_second"]
    if target and reached > target:
        notes.append(Note.FLOOR.line(f"this clip takes {reached:.0f} bit/s, over the {target} bit/s asked for"))
    elif target and reached < SATURATED_BELOW * target and not reader.damage:
        notes.append(Note.SATURATED.line(f"this clip takes {reached:.0f} of the {target} bit/s asked for"))
    return notes
