"""Videos with more in them than the toy's own world: overlapping things with texture and shading, that all move.

Dead leaves (Lee, Mumford, Huang 2001, "Occlusion models for natural images") in correlated colours, under a camera
that pans.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.toy_vace.domain import SIDE

CANVAS = 2 * SIDE  # pixels a side
LEAVES = 60


def draw_textured(rng: np.random.Generator, frames: int) -> NDArray[np.uint8]:
    """Return a video, (frames, SIDE, SIDE, 3) RGB, 0..255, of a camera that pans over leaves, one of which moves."""
    canvas = _leaves(rng)
    mover, cover = _leaf(rng, 10 + 20 * rng.random())
    start, way = rng.uniform(10, SIDE - 10, 2), rng.normal(0, 2.0, 2)
    pan = rng.normal(0, 1.5, 2)
    zoom = float(np.exp(rng.uniform(-0.3, 0.3)))
    video = np.empty((frames, SIDE, SIDE, 3), np.uint8)
    for number in range(frames):
        left, top = CANVAS / 4 + pan * (number - frames / 2)
        view = np.float32([[zoom, 0, -zoom * left], [0, zoom, -zoom * top]])
        picture = cv2.warpAffine(canvas, view, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        at = np.float32([[1, 0, start[0] + way[0] * number - 20], [0, 1, start[1] + way[1] * number - 20]])
        shown, mask = (cv2.warpAffine(each, at, (SIDE, SIDE), flags=cv2.INTER_LINEAR) for each in (mover, cover))
        video[number] = np.clip(picture + mask[..., None] * (shown - picture), 0, 255)
    return video


def _leaves(rng: np.random.Generator) -> NDArray[np.float32]:
    base = rng.uniform(40, 210, 3)
    canvas = np.full((CANVAS, CANVAS, 3), base, np.float32)
    for _ in range(int(rng.integers(5, LEAVES))):
        leaf, cover = _leaf(rng, float(np.exp(rng.uniform(np.log(4), np.log(40)))), base)
        across, down = rng.integers(-20, CANVAS - 20, 2)
        at = np.float32([[1, 0, across], [0, 1, down]])
        shown, mask = (cv2.warpAffine(each, at, (CANVAS, CANVAS)) for each in (leaf, cover))
        canvas += mask[..., None] * (shown - canvas)
    shade = cv2.resize(
        rng.normal(1.0, 0.15, (4, 4)).astype(np.float32), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(canvas * shade[..., None], 0, 255).astype(np.float32)


def _leaf(
    rng: np.random.Generator, size: float, base: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a thing's picture, (40, 40, 3), and what of it covers what is behind, 0..1; ``size`` is its width."""
    gray = rng.uniform(20, 235)
    color = gray + rng.normal(0, 25, 3) if base is None or rng.random() < 0.5 else base + rng.normal(0, 35, 3)
    texture = cv2.resize(rng.normal(0, 1, (8, 8)).astype(np.float32), (40, 40), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (40, 40)).astype(np.float32), (0, 0), float(rng.uniform(0.7, 2)))
    strength = rng.uniform(0, 25, 2)
    leaf = np.asarray(color, np.float32) + (strength[0] * texture + strength[1] * fine)[..., None]
    cover = np.zeros((40, 40), np.float32)
    axes = (size / 2, size / 2 * rng.uniform(0.3, 1))
    if rng.random() < 0.5:
        cv2.ellipse(cover, ((20, 20), (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 180))), 1.0, -1, cv2.LINE_AA)
    else:
        corners = cv2.boxPoints(((20, 20), (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 180))))
        cv2.fillConvexPoly(cover, corners.astype(np.int32), 1.0, cv2.LINE_AA)
    return leaf.astype(np.float32), np.clip(cover, 0, 1)
