"""What a stream header may claim, checked before anything is allocated for it."""

from cmvc.errors import CorruptStreamError
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb

_LIMIT_OF_FIELD = {
    "width": "width",
    "height": "height",
    "frame_rate_numerator": "rational_term",
    "frame_rate_denominator": "rational_term",
    "pixel_aspect_numerator": "rational_term",
    "pixel_aspect_denominator": "rational_term",
    "color_primaries": "code_point",
    "color_transfer": "code_point",
    "color_matrix": "code_point",
    "quarter_turns": "quarter_turns",
    "segment_frames": "segment_frames",
}
_LIMIT_OF_AUDIO_FIELD = {
    "sample_rate": "audio_sample_rate",
    "channels": "audio_channels",
    "packet_samples": "audio_packet_samples",
    "skip_samples": "audio_skip_samples",
}
_LEAST_SAMPLE_RATE = 4000  # samples per second


def check_header(header: pb.StreamHeader, offset: int | None, limits: Limits) -> None:
    """Return if a header makes sense.

    Args:
        header: as it was read.
        offset: of its packet in the stream, in bytes, for the message; None where that is not known.
        limits: bound what it may claim.

    Raises:
        CorruptStreamError: the picture size, the frame rate or something of the audio track is missing.
        LimitError: a number is over ``limits``.
    """
    if not (header.width and header.height and header.frame_rate_numerator):
        raise CorruptStreamError("the header lacks the picture size or the frame rate", offset)
    for field, limit in _LIMIT_OF_FIELD.items():
        limits.check(limit, getattr(header, field))
    limits.check("pixels", header.width * header.height)
    denominator = header.frame_rate_denominator or 1
    limits.check("frame_rate", -(-header.frame_rate_numerator // denominator))
    limits.check("seconds_per_frame", denominator // header.frame_rate_numerator)
    if header.HasField("audio"):
        _check_audio(header.audio, offset, limits)
    _check_metadata(header.metadata, limits)


def _check_audio(track: pb.AudioTrack, offset: int | None, limits: Limits) -> None:
    for field, limit in _LIMIT_OF_AUDIO_FIELD.items():
        limits.check(limit, getattr(track, field))
    if not (track.channels and track.packet_samples) or track.sample_rate < _LEAST_SAMPLE_RATE:
        raise CorruptStreamError("the header's audio track lacks its channels, sample rate or packet duration", offset)
    if track.codec not in (pb.AUDIO_CODEC_OPUS, pb.AUDIO_CODEC_AAC, pb.AUDIO_CODEC_MP3):
        raise CorruptStreamError(f"the audio codec {track.codec} is unknown; update cmvc-sdk", offset)


def _check_metadata(metadata: pb.Metadata, limits: Limits) -> None:
    limits.check("metadata_bytes", metadata.ByteSize())
    limits.check("language_bytes", len(metadata.language.encode()))
    limits.check("chapters", len(metadata.chapters))
    for text in (metadata.title, *(chapter.title for chapter in metadata.chapters)):
        limits.check("metadata_text_bytes", len(text.encode()))
