"""YUV4MPEG2: raw pictures, for measurement. Carries no sound."""

from collections.abc import Iterable, Iterator, Sequence

from cmvc.bitstream.stream import frame_rate, pixel_aspect
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.picture import Picture, full_range
from cmvc.v1 import bitstream_pb2 as pb


class Y4m:
    """Writes 8-bit 4:2:0 pictures of exactly the source's size, odd ones with chroma rounded up.

    Raises:
        LimitError: the picture has more than ``Limits.y4m_pixels``.
    """

    def __init__(self, header: pb.StreamHeader, limits: Limits = DEFAULT_LIMITS) -> None:
        limits.check("y4m_pixels", header.width * header.height)
        self._header = header

    @property
    def prologue(self) -> bytes:
        """The header line."""
        header, rate, aspect = self._header, frame_rate(self._header), pixel_aspect(self._header)
        return (
            f"YUV4MPEG2 W{header.width} H{header.height} F{rate.numerator}:{rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator} C420mpeg2 "
            f"XYSCSS=420MPEG2 XCOLORRANGE={'FULL' if header.full_range else 'LIMITED'}\n"
        ).encode()

    def segment(
        self,
        first_frame: int,  # noqa: ARG002 - frames are placed by their order alone
        pictures: Iterable[Picture],
        audio: Sequence[bytes] = (),  # noqa: ARG002 - the format has no place for sound
        first_packet: int = 0,  # noqa: ARG002
        *,
        end_frame: int | None = None,  # noqa: ARG002
    ) -> Iterator[bytes]:
        """Yield one frame at a time; see ``SegmentOutput.segment``."""
        for picture in pictures:
            if (picture.width, picture.height) != (self._header.width, self._header.height):
                raise InvalidSettingError(
                    f"a picture of {picture.width}x{picture.height} does not fit a stream of "
                    f"{self._header.width}x{self._header.height}; scale it first"
                )
            planes = (full_range(picture) if self._header.full_range else picture).planes
            yield b"".join((b"FRAME\n", *(plane.tobytes() for plane in planes)))
