"""Brushes: noise, sprites with soft edges, and putting one picture over another.

Pictures are float32 arrays (height, width, 3) of display-referred RGB, 0..1; sprites have a fourth, premultiplied
alpha channel. Everything comes from seeded generators, so that a clip is the same on every run.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Color = tuple[float, float, float]
Points = Sequence[tuple[float, float]]

_OVERSAMPLING = 4


def noise(rng: np.random.Generator, width: int, height: int, cell: float, octaves: int = 5) -> Image:
    """Return fractal noise of (height, width), mean 0, deviation 1, whose left and right edges meet."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        columns, rows = max(round(width / size), 1), max(round(height / size), 1) + 3
        grid = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        wrapped = np.concatenate([grid[:, -2:], grid, grid[:, :2]], axis=1)
        step = width / columns
        big = cv2.resize(wrapped, (round((columns + 4) * step), round(rows * size)), interpolation=cv2.INTER_CUBIC)
        left, top = round(2 * step), round(size)
        total += big[top : top + height, left : left + width] / 2**octave
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def gradient(height: int, width: int, stops: Sequence[tuple[float, Color]]) -> Image:
    """Return a vertical gradient through (position 0..1, colour) stops."""
    at = np.linspace(0, 1, height)
    positions = [position for position, _ in stops]
    channels = [np.interp(at, positions, [color[c] for _, color in stops]) for c in range(3)]
    column = np.stack(channels, axis=-1).astype(np.float32)[:, None]
    return np.repeat(column, width, axis=1)


class Sprite:
    """A small picture that shapes are drawn into, with soft edges.

    Args:
        width, height: in sprite units.
        scale: pixels per unit.
    """

    def __init__(self, width: float, height: float, scale: float) -> None:
        self.scale = scale
        self.image: Image = np.zeros((round(height * scale), round(width * scale), 4), np.float32)

    def polygon(self, points: Points, color: Color | Image) -> None:
        """Fill a polygon, its corners in units, with a colour or a picture of the sprite's size."""

        def fill(mask: NDArray[np.uint8], factor: float) -> None:
            corners = np.rint(np.asarray(points) * factor).astype(np.int32)
            cv2.fillPoly(mask, [corners], 255)

        self._lay(fill, color)

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: Color | Image) -> None:
        """Fill an ellipse around (x, y), in units."""

        def fill(mask: NDArray[np.uint8], factor: float) -> None:
            center, axes = (round(x * factor), round(y * factor)), (round(rx * factor), round(ry * factor))
            cv2.ellipse(mask, center, axes, 0, 0, 360, 255, -1)

        self._lay(fill, color)

    def line(self, points: Points, thickness: float, color: Color) -> None:
        """Draw a polyline, in units."""

        def fill(mask: NDArray[np.uint8], factor: float) -> None:
            corners = np.rint(np.asarray(points) * factor).astype(np.int32)
            cv2.polylines(mask, [corners], False, 255, max(round(thickness * factor), 1))

        self._lay(fill, color)

    def shade(self, light: Image) -> None:
        """Multiply what is drawn so far by a (height, width) picture."""
        self.image[..., :3] *= light[..., None]

    def _lay(self, fill: Callable[[NDArray[np.uint8], float], None], color: Color | Image) -> None:
        height, width = self.image.shape[:2]
        mask = np.zeros((height * _OVERSAMPLING, width * _OVERSAMPLING), np.uint8)
        fill(mask, self.scale * _OVERSAMPLING)
        small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
        alpha = (small.astype(np.float32) / 255)[..., None]
        self.image[..., :3] = np.asarray(color, np.float32) * alpha + self.image[..., :3] * (1 - alpha)
        self.image[..., 3:] = alpha + self.image[..., 3:] * (1 - alpha)


def put(picture: Image, sprite: Image, x: float, y: float, scale: float = 1.0, *, opacity: float = 1.0) -> None:
    """Lay a sprite over ``picture`` in place, its top left corner at (x, y) in pixels, which may be fractions."""
    height, width = picture.shape[:2]
    sprite_height, sprite_width = sprite.shape[:2]
    left, top = max(int(np.floor(x)), 0), max(int(np.floor(y)), 0)
    right = min(int(np.ceil(x + sprite_width * scale)) + 1, width)
    bottom = min(int(np.ceil(y + sprite_height * scale)) + 1, height)
    if right <= left or bottom <= top:
        return
    move = np.array([[scale, 0, x - left], [0, scale, y - top]], np.float32)
    laid = np.asarray(cv2.warpAffine(sprite, move, (right - left, bottom - top), flags=cv2.INTER_LINEAR), np.float32)
    if opacity != 1.0:
        laid *= opacity
    region = picture[top:bottom, left:right]
    region *= 1 - laid[..., 3:]
    region += laid[..., :3]


def put_band(picture: Image, band: Image, shift: float, top: int) -> None:
    """Lay a band that is wider than the picture over it, moved ``shift`` pixels to the left."""
    first = int(np.floor(shift))
    width = picture.shape[1]
    part = band[:, first : first + width + 1]
    fraction = np.float32(shift - first)
    laid = part[:, :-1] * (1 - fraction) + part[:, 1:] * fraction
    region = picture[top : top + band.shape[0]]
    region *= 1 - laid[: region.shape[0], :, 3:]
    region += laid[: region.shape[0], :, :3]
