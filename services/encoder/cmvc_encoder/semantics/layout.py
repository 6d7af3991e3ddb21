"""Fits elements of the scene grammar to a picture: at each step the one that explains most of what is left."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cmvc.scene.grammar import COLUMNS, ROWS, SHAPES, SIZES, TILTS, WHOLE_COLUMNS, WHOLE_ROWS, Element
from cmvc.scene.palette import names_and_labs
from cmvc.scene.shape import cover, grid, radius

Floats = NDArray[np.float32]
FIT_PIXELS = 640  # of the picture that elements are fitted to; some 34 x 19
_EDGE = 0.25  # softness that is fitted with
_KEPT = 900  # shapes that stay in the search for small things
_COARSE = 12  # elements for each of which all shapes are searched
_REFRESH = 3  # elements after which, later on, all shapes are searched again
_FINE = ("small", "")  # sizes that are placed by half steps
_BOX_TASTE = 0.75  # a box must explain so much more than an oval: few scenes have corners, and all notice them
_ENOUGH = 2e-4  # share of the picture's variance below which an element is not worth its words


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


@lru_cache(maxsize=2)  # some 60 MB each
def all_shapes(width: int, height: int) -> Shapes:
    """Return what may be fitted to a picture of this (small) size."""
    x, y = grid(width, height)
    elements: list[Element] = []
    rows: list[Floats] = []
    for size, shape, tilt in product(SIZES, SHAPES, TILTS):
        if tilt and (not shape or size == "tiny"):
            continue
        for noun in ("patch",) if tilt or size == "tiny" else ("patch", "panel"):
            fine = noun == "patch" and size in _FINE
            for column, row in product(*((COLUMNS, ROWS) if fine else (WHOLE_COLUMNS, WHOLE_ROWS))):
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
    taste = np.where([e.noun == "panel" for e in shapes.elements], _BOX_TASTE, 1.0).astype(np.float32)
    target, importance = lab.reshape(-1, 3), weight.reshape(-1, 1)
    names, labs = names_and_labs()
    canvas = np.broadcast_to(labs[names.index(background)], target.shape).copy()
    spread = float((importance * (target - np.average(target, axis=0, weights=importance[:, 0])) ** 2).sum()) + 1.0
    found: list[tuple[Element, Floats]] = []
    everything = np.arange(len(shapes.elements))
    kept, age = everything, 0
    while len(found) < count:
        if age >= (_REFRESH if len(found) > _COARSE else 1):
            kept, age = everything, 0
        gains, colours = _gains(shapes, kept, _products(target, canvas, importance))
        place = int(np.argmax(gains * taste[kept]))
        best, colour = int(kept[place]), int(colours[place])
        if gains[place] < _ENOUGH * spread:
            if age == 0:
                break
            age = _REFRESH
            continue
        if age == 0:
            kept = kept[np.argpartition(gains * taste[kept], -_KEPT)[-_KEPT:]]
        age += 1
        opacity = shapes.opacity[best][:, None]
        canvas = canvas + opacity * (labs[colour] - canvas)
        found.append((replace(shapes.elements[best], colour=names[colour]), opacity.reshape(height, width)))
    return found


def _products(target: Floats, canvas: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return what opacity and squared opacity are multiplied with: (pixels, 4) and (pixels, 5)."""
    left = target - canvas
    linear = np.concatenate([weight * left, weight * (left * canvas).sum(1, keepdims=True)], 1)
    square = np.concatenate([weight * canvas, weight * (canvas**2).sum(1, keepdims=True), weight], 1)
    return linear, square


def _gains(shapes: Shapes, kept: NDArray[np.intp], products: tuple[Floats, Floats]) -> tuple[Floats, NDArray[np.intp]]:
    """Return by how much each shape lowers the weighted squared error in its best palette colour, and that colour.

    Painting colour c with an opacity changes the error by A|c|^2 - 2 c.B + K.
    """
    some = slice(None) if len(kept) == len(shapes.elements) else kept  # a slice copies nothing
    first, second = shapes.opacity[some] @ products[0], shapes.squared[some] @ products[1]
    b, a, k = first[:, :3] + second[:, :3], second[:, 4:5] + np.float32(1e-6), 2 * first[:, 3] + second[:, 3]
    colours = _nearest(b / a)
    _, labs = names_and_labs()
    chosen = labs[colours]
    return (2 * (b * chosen).sum(1) - (a * chosen**2).sum(1) - k).astype(np.float32), colours


_BIN = 4.0  # CIELAB distance between the colours whose nearest name is worked out beforehand
_SPAN = 108.0  # a* and b* that these reach to


@lru_cache(maxsize=1)
def _nearest_table() -> NDArray[np.intp]:
    """Return the number of the nearest palette colour on a grid over CIELAB."""
    _, labs = names_and_labs()
    light, span = np.arange(0, 100 + _BIN, _BIN), np.arange(-_SPAN, _SPAN + _BIN, _BIN)
    points = np.stack(np.meshgrid(light, span, span, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    nearest = np.argmax(2 * points @ labs.T - (labs**2).sum(1), 1)
    return np.asarray(nearest, np.intp).reshape(len(light), len(span), len(span))


def _nearest(lab: Floats) -> NDArray[np.intp]:
    """Return the numbers of the palette colours nearest to (n, 3) CIELAB colours, to within the grid."""
    table = _nearest_table()
    place = np.rint((lab + np.array([0, _SPAN, _SPAN], np.float32)) / _BIN).astype(np.intp)
    light, a, b = np.clip(place, 0, np.array(table.shape) - 1).T
    return np.asarray(table[light, a, b], np.intp)
