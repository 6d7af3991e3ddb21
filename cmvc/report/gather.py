"""What a report shows of one stream: segments, scores over time, and pictures at given moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from cmvc.evaluate import Scores, evaluate
from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb

MOMENTS = 6
_MOST_SIDE = 640  # pixels of a picture in the report
_WEBP_QUALITY = 82


def moments_of(frames: int, count: int = MOMENTS) -> list[int]:
    """Return the numbers of ``count`` frames at equal distances, none at either end; fewer where there are fewer."""
    return sorted({(2 * n + 1) * frames // (2 * count) for n in range(count)})


def webp(picture: Picture, color_matrix: int) -> bytes:
    """Return a picture as WebP, no side of it more than 640 pixels.

    Args:
        picture: limited range.
        color_matrix: its matrix coefficients, code point of ITU-T H.273.
    """
    rgb = to_rgb(picture, color_matrix)
    factor = _MOST_SIDE / max(rgb.shape[:2])
    if factor < 1:
        rgb = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".webp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return data.tobytes()


@dataclass(frozen=True)
class Shown:
    """One stream in a report.

    Attributes:
        name: of its file.
        found: what ``cmvc.bitstream.inspect.inspect`` says of it.
        scores: of all its frames.
        pictures: as WebP, at the moments.
    """

    name: str
    found: dict[str, Any]
    scores: Scores
    pictures: Sequence[bytes]


@dataclass
class Album:
    """Keeps the pictures at given moments, as pairs go by; see ``cmvc.evaluate.evaluate``.

    Attributes:
        originals, copies: WebP, in order of the moments.
    """

    moments: Sequence[int]
    color_matrix: int
    originals: list[bytes] = field(default_factory=list)
    copies: list[bytes] = field(default_factory=list)

    def see(self, number: int, original: Picture, copy: Picture) -> None:
        """Take note of a pair of pictures."""
        if number in self.moments:
            self.originals.append(webp(original, self.color_matrix))
            self.copies.append(webp(copy, self.color_matrix))


def gather(
    reference: str | Path,
    name: str,
    found: dict[str, Any],
    decoded: str | Path | BinaryIO,
    progress: Callable[[int, int | None], object] = lambda *_: None,
) -> tuple[Shown, Sequence[bytes]]:
    """Measure one stream.

    Args:
        reference: path of the original.
        name: of the stream.
        found: what is in it.
        decoded: its pictures.
        progress: see ``evaluate``.

    Returns:
        what is shown of it, and the reference's pictures at the same moments.

    Raises:
        MediaError: see ``evaluate``.
    """
    album = Album(moments_of(found["totals"]["frames"]), found["header"]["color_matrix"])
    scores = evaluate(reference, decoded, progress=progress, watch=album.see)
    return Shown(name, found, scores, album.copies), album.originals
