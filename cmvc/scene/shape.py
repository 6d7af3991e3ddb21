"""Where an element covers the picture. Shared, so that what the encoder fits is what the renderer draws."""

import numpy as np
from numpy.typing import NDArray

from cmvc.scene.grammar import COLUMNS, NOUNS, ROWS, SHAPES, SIZES, TILTS, Element

Floats = NDArray[np.float32]
_OVAL, _BOX = 2.4, 8.0  # exponents of the superellipse


def grid(width: int, height: int) -> tuple[Floats, Floats]:
    """Return the x (1, width) and y (height, 1) of pixel centres as shares of the picture, 0..1."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return x[None, :].astype(np.float32), y[:, None].astype(np.float32)


def radius(element: Element, x: Floats, y: Floats, aspect: float) -> Floats:
    """Return the distance from the element's centre, 1 on its outline.

    Args:
        element: what to measure.
        x: positions as shares of the picture's width.
        y: positions as shares of its height; of a shape that broadcasts with ``x``.
        aspect: width of the picture over its height.
    """
    across = (x - COLUMNS[element.column]) * np.float32(np.sqrt(aspect))
    down = (y - ROWS[element.row]) / np.float32(np.sqrt(aspect))
    cos, sin = np.float32(np.cos(TILTS[element.tilt])), np.float32(np.sin(TILTS[element.tilt]))
    along, over = cos * across + sin * down, cos * down - sin * across
    stretch = np.sqrt(SHAPES[element.shape])
    half = SIZES[element.size] / 2
    power = _BOX if NOUNS[element.noun].box else _OVAL
    u, v = np.abs(along) / np.float32(half * stretch), np.abs(over) / np.float32(half / stretch)
    far = np.float32(50.0)  # keeps the powers finite
    distance = (np.minimum(u, far) ** power + np.minimum(v, far) ** power) ** (1 / power)
    return np.asarray(distance, np.float32)


def cover(distance: Floats, edge: float) -> Floats:
    """Return the opacity 0..1 at ``distance`` (as of ``radius``) for a soft edge of that width."""
    inside = np.clip((1 + edge / 2 - distance) / max(edge, 1e-3), 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside), np.float32)
