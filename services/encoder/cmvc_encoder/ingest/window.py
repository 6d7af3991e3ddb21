"""The run of frames that is coded at a time."""

from dataclasses import dataclass
from fractions import Fraction

from cmvc.media.picture import Picture


@dataclass(frozen=True)
class Window:
    """A run of frames of one shot, at most ``Limits.segment_seconds`` long, that is coded in one mode.

    Attributes:
        pictures: the frames at the working size (never larger than the source).
        first_frame: number of the first in the stream.
        width, height: of the source.
        frame_rate: in frames per second.
        opens_shot, closes_shot: whether a cut stands before the first and after the last frame.
        following: the frame after the last, None when ``closes_shot`` or at the end of the stream.
        keyframes: positions of the keyframes that embeddings chose, ascending; position 0 is among them when
            ``opens_shot``, and need not be otherwise.
        color_matrix: of the pictures, code point of ITU-T H.273.
    """

    pictures: list[Picture]
    first_frame: int
    width: int
    height: int
    frame_rate: Fraction
    opens_shot: bool
    closes_shot: bool
    following: Picture | None
    keyframes: tuple[int, ...] = ()
    color_matrix: int = 1

    @property
    def seconds(self) -> float:
        """Duration of the window."""
        return float(len(self.pictures) / self.frame_rate)
