"""Fits elements of the scene grammar to a picture: at each step the one that explains most of what is left."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cmvc.scene.grammar import COLUMNS, ROWS, SHAPES, SIZES, TILTS, Element
from cmvc.scene.palette import names_and_labs
from cmvc.scene.shape import cover, grid, radius

Floats = NDArray[np.float32]
FIT_PIXELS = 640  # of the picture that elements are fitted to; some 34 x 19
_EDGE = 0.25  # softness that is fitted with
_TRIED = 256  # shapes whose gain is worked out with palette colours
_ENOUGH = 6e-4  # share of the picture's variance below which an element is not worth its words


@dataclass(frozen=True)
class Shapes:
    """Every element that may be fitted, without its colour.

    Attributes:
        elements: (n) with noun "patch" (oval) or "panel" (box).
        opacity: (n, pixels) in 0..1.
        squared: of it.
    """

    elements: tuple[Element, ...]
    opacity: Floats
    squared: Floats


def fit_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) that a picture is fitted at: its own proportions, ``FIT_PIXELS`` in all."""
    scale = (FIT_PIXELS / (width * height)) ** 0.5
    return max(round(width * scale), 6), max(round(height * scale), 6)


@lru_cache(maxsize=4)
def all_shapes(width: int, height: int) -> Shapes:
    """Return what may be fitted to a picture of this (small) size."""
    x, y = grid(width, height)
    elements, rows = [], []
    for size, shape, tilt in product(SIZES, SHAPES, TILTS):
        if tilt and (not shape or size == "tiny"):
            continue
        for noun in ("patch",) if tilt or size == "tiny" else ("patch", "panel"):
            for column, row in product(COLUMNS, ROWS):
                element = Element("grey", noun, size, shape, tilt, column, row)
                opacity = cover(radius(element, x, y, width / height), _EDGE if noun == "patch" else 0.06)
                if opacity.sum() > 1.2:  # thinner ones fall between the pixels
                    elements.append(element)
                    rows.append(opacity.ravel())
    stacked = np.stack(rows).astype(np.float32)
    return Shapes(tuple(elements), stacked, stacked * stacked)


def fit_elements(lab: Floats, weight: Floats, background: str, count: int) -> list[tuple[Element, Floats]]:
    """Return up to ``count`` elements with their opacities (height, width), in the order of painting.

    Args:
        lab: CIELAB (height, width, 3) of the picture, of ``fit_size``.
        weight: how much each pixel matters, (height, width).
        background: colour name that the painting starts from.
        count: how many to fit at most.
    """
    height, width = weight.shape
    shapes = all_shapes(width, height)
    target, importance = lab.reshape(-1, 3), weight.reshape(-1, 1)
    names, labs = names_and_labs()
    canvas = np.broadcast_to(labs[names.index(background)], target.shape).copy()
    spread = float((importance * (target - np.average(target, axis=0, weights=importance[:, 0])) ** 2).sum()) + 1.0
    found: list[tuple[Element, Floats]] = []
    for _ in range(count):
        best, gain, name = _best_shape(shapes, target, canvas, importance)
        if gain < _ENOUGH * spread:
            break
        opacity = shapes.opacity[best][:, None]
        canvas = canvas + opacity * (labs[names.index(name)] - canvas)
        found.append((replace(shapes.elements[best], colour=name), opacity.reshape(height, width)))
    return found


def _best_shape(shapes: Shapes, target: Floats, canvas: Floats, weight: Floats) -> tuple[int, float, str]:
    """Return the shape that lowers the weighted squared error most, by how much, and in which palette colour.

    Painting colour c with opacity a changes the error by A|c|^2 - 2 c.B + K, where A, B, K are the sums below.
    """
    left = target - canvas
    linear = np.concatenate([weight * left, weight * (left * canvas).sum(1, keepdims=True)], 1)
    square = np.concatenate([weight * canvas, weight * (canvas**2).sum(1, keepdims=True), weight], 1)
    first, second = shapes.opacity @ linear, shapes.squared @ square
    b = first[:, :3] + second[:, :3]
    a, k = second[:, 4] + 1e-6, 2 * first[:, 3] + second[:, 3]
    free = (b**2).sum(1) / a - k  # gain with any colour at all
    few = np.argpartition(free, -_TRIED)[-_TRIED:]
    names, labs = names_and_labs()
    gains = 2 * b[few] @ labs.T - a[few, None] * (labs**2).sum(1) - k[few, None]
    shape, colour = np.unravel_index(int(np.argmax(gains)), gains.shape)
    return int(few[shape]), float(gains[shape, colour]), names[int(colour)]
