"""The header that a stream starts with."""

from cmvc import __version__
from cmvc.media.reader import VideoInfo
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_encoder.ingest.cutting import WindowShape
from cmvc_encoder.job import Job


def stream_header(info: VideoInfo, job: Job, shape: WindowShape) -> pb.StreamHeader:
    """Return the header of a stream; fields at their defaults stay unset, which keeps it small."""
    is_text = job.mode == common_pb2.MODE_TT2V
    frames = min(job.generator.text_frames(info.frame_rate), shape.longest) if is_text else shape.longest
    alone = info.frames_estimate is not None and info.frames_estimate <= frames  # a segment that says its own count
    aspect = info.pixel_aspect
    return pb.StreamHeader(
        width=info.width,
        height=info.height,
        frame_rate_numerator=info.frame_rate.numerator,
        frame_rate_denominator=_unless(1, info.frame_rate.denominator),
        pixel_aspect_numerator=0 if aspect == 1 else aspect.numerator,
        pixel_aspect_denominator=0 if aspect == 1 else aspect.denominator,
        color_primaries=_unless(1, info.color_primaries),
        color_transfer=_unless(1, info.color_transfer),
        color_matrix=_unless(1, info.color_matrix),
        full_range=info.full_range,
        seed=job.seed,
        segment_frames=0 if alone else frames,
        writer_version=_version_number(__version__),
        target_bits_per_second=job.bits_per_second or 0,
        audio=info.audio_track,
        metadata=info.metadata,
    )


def _unless(default: int, value: int) -> int:
    return 0 if value == default else value


def _version_number(version: str) -> int:
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return major * 10000 + minor * 100 + patch
