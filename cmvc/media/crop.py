"""What a Matroska container says is not to be shown of a picture; decoders see to what the bit stream says."""

from collections.abc import Iterator
from dataclasses import dataclass

from cmvc.media.picture import Picture
from cmvc.media.spool import Source

_HEAD_BYTES = 8192  # within which the description of the tracks ends in all but odd files
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT, _TRACKS, _TRACK, _TYPE, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0
_SIDES = {0x54BB: "top", 0x54CC: "left", 0x54AA: "bottom", 0x54DD: "right"}
_IS_VIDEO = b"\x01"
_LONGEST_ID = 4  # bytes
_LONGEST_SIZE = 8


@dataclass(frozen=True)
class Crop:
    """Rows and columns that are not shown, before the picture is turned."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that is left; all of it where nothing would be. Even, as FFmpeg makes 4:2:0."""
        if self == Crop():
            return width, height
        left = (width - self.left - self.right) & ~1, (height - self.top - self.bottom) & ~1
        return left if min(left) > 0 else (width, height)

    def of(self, picture: Picture) -> Picture:
        """Return what is shown of a picture."""
        width, height = self.size(picture.width, picture.height)
        if (width, height) == (picture.width, picture.height):
            return picture
        top, left = self.top // 2, self.left // 2
        y = picture.y[2 * top : 2 * top + height, 2 * left : 2 * left + width]
        u, v = (plane[top : top + height // 2, left : left + width // 2] for plane in (picture.u, picture.v))
        return Picture(y.copy(), u.copy(), v.copy())


NO_CROP = Crop()


def crops_of(source: Source) -> list[Crop]:
    """Return the crop of each video track in turn; none where ``source`` is not Matroska. Before any view of it."""
    if source.head(len(_EBML)) != _EBML:
        return []
    return read_crops(source.head(_HEAD_BYTES))


def read_crops(head: bytes) -> list[Crop]:
    """Return the crop of each video track that is described within ``head``, the start of a Matroska file."""
    tracks = [
        dict(_elements(track))
        for _, segment in _named(head, _SEGMENT)
        for _, described in _named(segment, _TRACKS)
        for _, track in _named(described, _TRACK)
    ]
    return [_crop(dict(_elements(track.get(_VIDEO, b"")))) for track in tracks if track.get(_TYPE) == _IS_VIDEO]


def _crop(video: dict[int, bytes]) -> Crop:
    return Crop(**{side: int.from_bytes(video[key], "big") for key, side in _SIDES.items() if key in video})


def _named(data: bytes, kind: int) -> Iterator[tuple[int, bytes]]:
    return (element for element in _elements(data) if element[0] == kind)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the identifier and the body of each element, the last one as far as it goes."""
    position = 0
    while position < len(data):
        length = 9 - data[position].bit_length()
        kind = int.from_bytes(data[position : position + length], "big")
        position += length
        if length > _LONGEST_ID or position >= len(data):
            return
        length = 9 - data[position].bit_length()
        if length > _LONGEST_SIZE:
            return
        size = int.from_bytes(data[position : position + length], "big") & ~(1 << 7 * length)
        position += length
        yield kind, data[position : position + size]
        position += size
