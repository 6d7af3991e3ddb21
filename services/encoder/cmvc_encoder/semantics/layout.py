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
FIT_PIXELS = 48 * 27  # of the picture that elements are fitted to
BLOCK = 3  # pixels; sides of the picture that is searched for the shapes that are worth a closer look
_EDGE = 0.25  # softness that is fitted with
_TRIED = 96  # shapes whose gain is worked out with palette colours
_ENOUGH = 2e-4  # share of the picture's variance below which an element is not worth its words


@dataclass(frozen=True)
class Shapes:
    """Every element that may be fitted, without its colour.

    Attributes:
        elements: (n) with noun "patch" (oval) or "panel" (box).
        opacity: (n, pixels) in 0..1.
        coarse, coarse_squared: (n, blocks) of it and its square, averaged over blocks of ``BLOCK`` x ``BLOCK`` pixels.
    """

    elements: tuple[Element, ...]
    opacity: Floats
    coarse: Floats
    coarse_squared: Floats


def fit_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) that a picture is fitted at: its own proportions, ``FIT_PIXELS`` in all."""
    scale = (FIT_PIXELS / (width * height)) ** 0.5
    return tuple(max(round(side * scale / BLOCK), 2) * BLOCK for side in (width, height))  # type: ignore[return-value]


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
                    rows.append(opacity.astype(np.float32))
    stacked = np.stack(rows)
    flat = stacked.reshape(len(rows), -1)
    return Shapes(tuple(elements), flat, _blocks(stacked), _blocks(stacked * stacked))


def _blocks(values: Floats) -> Floats:
    """Return the sums over blocks: (n, height, width) to (n, blocks)."""
    count, height, width = values.shape
    summed = values.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((2, 4))
    return np.asarray(summed.reshape(count, -1), np.float32)


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
        best, gain, name = _best_shape(shapes, target, canvas, importance, (height, width))
        if gain < _ENOUGH * spread:
            break
        opacity = shapes.opacity[best][:, None]
        canvas = canvas + opacity * (labs[names.index(name)] - canvas)
        found.append((replace(shapes.elements[best], colour=name), opacity.reshape(height, width)))
    return found


def _best_shape(
    shapes: Shapes, target: Floats, canvas: Floats, weight: Floats, size: tuple[int, int]
) -> tuple[int, float, str]:
    """Return the shape that lowers the weighted squared error most, by how much, and in which palette colour.

    Painting colour c with opacity a changes the error by A|c|^2 - 2 c.B + K, where A, B, K are the sums below.
    """
    left = target - canvas
    linear = np.concatenate([weight * left, weight * (left * canvas).sum(1, keepdims=True)], 1)
    square = np.concatenate([weight * canvas, weight * (canvas**2).sum(1, keepdims=True), weight], 1)
    few = _promising(shapes, linear, square, size)
    opacity = shapes.opacity[few]
    b, a, k = _sums(opacity @ linear, (opacity * opacity) @ square)
    names, labs = names_and_labs()
    gains = 2 * b @ labs.T - a[:, None] * (labs**2).sum(1) - k[:, None]
    shape, colour = np.unravel_index(int(np.argmax(gains)), gains.shape)
    return int(few[shape]), float(gains[shape, colour]), names[int(colour)]


def _promising(shapes: Shapes, linear: Floats, square: Floats, size: tuple[int, int]) -> NDArray[np.intp]:
    """Return the shapes that gain most on blocks of pixels, with any colour at all."""
    first = shapes.coarse @ _blocks(linear.T.reshape(-1, *size)).T
    second = shapes.coarse_squared @ _blocks(square.T.reshape(-1, *size)).T
    b, a, k = _sums(first, second)
    return np.argpartition((b**2).sum(1) / a - k, -_TRIED)[-_TRIED:]


def _sums(first: Floats, second: Floats) -> tuple[Floats, Floats, Floats]:
    """Return B, A and K."""
    return first[:, :3] + second[:, :3], second[:, 4] + np.float32(1e-6), 2 * first[:, 3] + second[:, 3]
