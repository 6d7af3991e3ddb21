"""Decoded pictures to bytes that a player understands, segment by segment."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.fmp4 import FragmentedMp4
from cmvc.media.picture import Picture
from cmvc.media.y4m import Y4m
from cmvc.settings import DEFAULT_CRF
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2

OUTPUT_FORMATS = (
    decoder_pb2.OUTPUT_FORMAT_FMP4,
    decoder_pb2.OUTPUT_FORMAT_Y4M,
    decoder_pb2.OUTPUT_FORMAT_FMP4_EVEN,
)


class SegmentOutput(Protocol):
    """Writes segments independently of each other: ``prologue`` and then the segments in order make the file."""

    @property
    def prologue(self) -> bytes:
        """What stands once before the first segment; depends on the stream header alone."""

    def segment(
        self,
        first_frame: int,
        pictures: Iterable[Picture],
        audio: Sequence[bytes] = (),
        first_packet: int = 0,
        *,
        end_frame: int | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes of one segment, in whole fragments or frames, while its pictures arrive.

        Args:
            first_frame: number of the first picture in the stream.
            pictures: at least one, all of the source's size.
            audio: packets that start within the segment, in order, as ``StreamHeader.audio`` describes them.
            first_packet: ordinal of the first of them in the stream.
            end_frame: how many frames the stream has, for its last segment, whose sound ends with its pictures.

        Raises:
            InvalidSettingError: a picture is not of the source's size.
        """


def open_output(
    output_format: decoder_pb2.OutputFormat.ValueType,
    header: pb.StreamHeader,
    limits: Limits = DEFAULT_LIMITS,
    *,
    crf: int | None = None,
) -> SegmentOutput:
    """Return a writer of ``output_format`` for streams with ``header``.

    Args:
        output_format: what to write.
        header: of the stream.
        limits: bound the picture.
        crf: quality of H.264, 0..51, of which more is less; None for the usual one, and for other formats.

    Raises:
        InvalidSettingError: the format is not known here, or has no such quality.
        LimitError: the picture is too large for raw output, or the quality out of range.
    """
    check_format(output_format, "format")
    if output_format != decoder_pb2.OUTPUT_FORMAT_Y4M:
        even = output_format == decoder_pb2.OUTPUT_FORMAT_FMP4_EVEN
        return FragmentedMp4(header, DEFAULT_CRF if crf is None else crf, even=even)
    if crf is not None:
        raise InvalidSettingError("a CRF says how good H.264 in MP4 is; ask for MP4, or leave it out", field="crf")
    return Y4m(header, limits)


def check_format(output_format: decoder_pb2.OutputFormat.ValueType, field: str) -> None:
    """Return if ``output_format``, named in the request's ``field``, is known here, or left to the default.

    Raises:
        InvalidSettingError: it is not.
    """
    if output_format not in (decoder_pb2.OUTPUT_FORMAT_UNSPECIFIED, *OUTPUT_FORMATS):
        raise InvalidSettingError(
            f"output format {output_format} is not known here; ask for MP4 (1), y4m (2), or MP4 of even size (3)",
            field=field,
        )
