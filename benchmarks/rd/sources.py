"""The pictures that every codec is given, and that every result is compared with."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cmvc.media.picture import Picture
from cmvc.media.reader import open_video

_FRAME = b"FRAME\n"


@dataclass(frozen=True)
class Source:
    """A clip as 8-bit 4:2:0 Y4M of limited range.

    Attributes:
        name: the clip's, without its suffix.
        reference: the Y4M file.
        sha256: of that file, hexadecimal.
        width, height: in pixels.
        rate: in frames per second.
        frames: their number.
    """

    name: str
    reference: Path
    sha256: str
    width: int
    height: int
    rate: Fraction
    frames: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.frames / self.rate)


def open_source(clip: Path, folder: Path) -> Source:
    """Return the clip's pictures as CMVC's reader sees them, written below ``folder`` unless they are there already.

    Raises:
        MediaError: the clip is no video.
    """
    with clip.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    reference = folder / f"{clip.stem}-{name}.y4m"
    with open_video(clip) as reader:
        info = reader.info
        if not reference.exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = reference.with_suffix(".part")
            with part.open("wb") as file:
                rate, aspect = info.frame_rate, info.pixel_aspect
                file.write(
                    f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip "
                    f"A{aspect.numerator}:{aspect.denominator} C420mpeg2 XCOLORRANGE=LIMITED\n".encode()
                )
                for item in reader.read():
                    if isinstance(item, Picture):
                        file.write(b"".join((_FRAME, *(plane.tobytes() for plane in item.planes))))
            part.replace(reference)
    frame_bytes = len(_FRAME) + info.width * info.height + 2 * -(-info.width // 2) * -(-info.height // 2)
    frames = reference.stat().st_size // frame_bytes  # the header is shorter than a frame
    with reference.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(clip.stem, reference, digest, info.width, info.height, info.frame_rate, frames)
